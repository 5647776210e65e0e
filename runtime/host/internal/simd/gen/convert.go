package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// whole writes a loop over n numbers, of which there are whole vectors.
func (g *gen) whole(step func()) {
	n := g.param("n")
	loop, end := g.label("loop"), g.label("loop")
	g.Label(loop)
	g.SUBQ(operand.Imm(uint64(g.floats)), n)
	g.JL(operand.LabelRef(end))
	step()
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
	g.VZEROUPPER()
	g.RET()
}

// converts writes the conversions between float32 and types of 16 and 8 bits, of whole
// vectors.
func converts(g *gen) {
	for _, s := range storedTypes[1:] {
		g.function("widen"+s.name, "(dst *float32, src *"+s.goType+", n int)", "widen"+s.name+g.name+" stores n numbers as float32; n is whole vectors.")
		dst, src := g.param("dst"), g.param("src")
		g.whole(func() {
			v := g.vec()
			g.load(s, operand.Mem{Base: src}, v, nil)
			g.VMOVUPS(v, operand.Mem{Base: dst})
			g.ADDQ(operand.Imm(uint64(s.size*g.floats)), src)
			g.ADDQ(operand.Imm(uint64(g.bytes())), dst)
		})
	}
	g.function("narrowF16", "(dst *uint16, src *float32, n int)", "narrowF16"+g.name+" rounds n numbers to float16, ties to even; n is whole vectors.")
	dst, src := g.param("dst"), g.param("src")
	g.whole(func() {
		v := g.vec()
		g.VMOVUPS(operand.Mem{Base: src}, v)
		g.VCVTPS2PH(operand.Imm(0), v, operand.Mem{Base: dst})
		g.ADDQ(operand.Imm(uint64(2*g.floats)), dst)
		g.ADDQ(operand.Imm(uint64(g.bytes())), src)
	})
	g.function("roundF16", "(v *float32, n int)", "roundF16"+g.name+" rounds n numbers to those of float16, ties to even; n is whole vectors.")
	v := g.param("v")
	g.whole(func() {
		x := g.vec()
		g.VMOVUPS(operand.Mem{Base: v}, x)
		g.VCVTPS2PH(operand.Imm(0), x, g.half(x))
		g.VCVTPH2PS(g.half(x), x)
		g.VMOVUPS(x, operand.Mem{Base: v})
		g.ADDQ(operand.Imm(uint64(g.bytes())), v)
	})
	g.narrowBF16()
	g.narrowI8()
}

// narrowBF16 writes how numbers are rounded to bfloat16.
func (g *gen) narrowBF16() {
	g.function("narrowBF16", "(dst *uint16, src *float32, n int)", "narrowBF16"+g.name+" rounds n numbers to bfloat16, ties to even; n is whole vectors.")
	dst, src := g.param("dst"), g.param("src")
	rounder := g.bf16Rounder()
	g.whole(func() {
		v := g.vec()
		g.VMOVUPS(operand.Mem{Base: src}, v)
		r := rounder.round(g, v)
		if g.floats == 16 {
			g.VPMOVDW(r, operand.Mem{Base: dst})
		} else {
			g.VPACKUSDW(r, r, r)
			g.VPERMQ(operand.Imm(0x08), r, r)
			g.VMOVUPS(r.AsX(), operand.Mem{Base: dst})
		}
		g.ADDQ(operand.Imm(uint64(2*g.floats)), dst)
		g.ADDQ(operand.Imm(uint64(g.bytes())), src)
	})
}

// bf16Rounder rounds the bits as integers; what is not a number keeps its highest
// bits, and gets one set that does not vanish.
type bf16Rounder struct{ half, one, quiet reg.VecVirtual }

func (g *gen) bf16Rounder() bf16Rounder {
	return bf16Rounder{g.broadcastBits(0x7fff), g.broadcastBits(1), g.broadcastBits(0x40)}
}

// round returns the bits of each number of v in the lower half of a lane.
func (b bf16Rounder) round(g *gen, v reg.VecVirtual) reg.VecVirtual {
	r, q := g.vec(), g.vec()
	g.VPSRLD(operand.Imm(16), v, r)
	g.por(b.quiet, r, q)
	g.pand(b.one, r, r)
	g.VPADDD(b.half, r, r)
	g.VPADDD(v, r, r)
	g.VPSRLD(operand.Imm(16), r, r)
	if g.floats == 16 {
		nan := g.K()
		g.VCMPPS(operand.Imm(3), v, v, nan)
		g.VMOVDQA32(q, nan, r)
	} else {
		nan := g.vec()
		g.VCMPPS(operand.Imm(3), v, v, nan)
		g.VPBLENDVB(nan, q, r, r)
	}
	return r
}

// narrowI8 divides numbers and rounds the quotients to codes: what is too large for one
// becomes the largest, and what is not a number 0.
func (g *gen) narrowI8() {
	g.function("narrowI8", "(dst *int8, src *float32, by float32, n int)",
		"narrowI8"+g.name+" rounds n quotients to codes, ties to even; n is whole vectors.")
	dst, src, by := g.param("dst"), g.param("src"), g.splat("by")
	most, least := g.broadcast(127), g.broadcast(-128)
	g.whole(func() {
		v := g.vec()
		g.VMOVUPS(operand.Mem{Base: src}, v)
		g.VDIVPS(by, v, v)
		if g.floats == 16 {
			number := g.K()
			g.VCMPPS(operand.Imm(7), v, v, number)
			g.VMOVUPS_Z(v, number, v)
		} else {
			number := g.vec()
			g.VCMPPS(operand.Imm(7), v, v, number)
			g.pand(number, v, v)
		}
		g.VMINPS(most, v, v)
		g.VMAXPS(least, v, v)
		g.VCVTPS2DQ(v, v)
		if g.floats == 16 {
			g.VPMOVDB(v, operand.Mem{Base: dst})
		} else {
			high := g.XMM()
			g.VEXTRACTI128(operand.Imm(1), v, high)
			g.VPACKSSDW(high, v.AsX(), high)
			g.VPACKSSWB(high, high, high)
			g.VMOVQ(high, operand.Mem{Base: dst})
		}
		g.ADDQ(operand.Imm(uint64(g.floats)), dst)
		g.ADDQ(operand.Imm(uint64(g.bytes())), src)
	})
}
