package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// fours writes products of bytes in fours along k, as VPDPBUSD takes them: signed ones
// of the left side, whose fours are broadcast, unsigned ones of the right.
func fours(g *gen) {
	if g.floats != 16 {
		return
	}
	g.packFours()
	g.tileFours()
}

// packFours writes how rows of weights become rows of fours.
func (g *gen) packFours() {
	g.function("packFours", "(dst *uint32, ldd int, w *uint8, ldw int, flip uint32, n int)",
		"packFours"+g.name+" stores n fours of rows of 16 bytes as rows of fours, exclusive or flip. Strides are in numbers.")
	dst, ldd, w, ldw, n := g.param("dst"), g.stride("ldd", 4), g.param("w"), g.param("ldw"), g.param("n")
	flip := g.vec()
	bits := g.Load(g.Param("flip"), g.GP32()).(reg.GPVirtual)
	g.VPBROADCASTD(bits, flip)
	loop, end := g.label("four"), g.label("four")
	g.Label(loop)
	g.DECQ(n)
	g.JL(operand.LabelRef(end))
	all := g.vec()
	for i := range 4 {
		v := all
		if i > 0 {
			v = g.vec()
		}
		g.VPMOVZXBD(operand.Mem{Base: w}, v)
		g.ADDQ(ldw, w)
		if i > 0 {
			g.VPSLLD(operand.Imm(uint64(8*i)), v, v)
			g.por(v, all, all)
		}
	}
	g.VPXORD(flip, all, all)
	g.VMOVDQU32(all, operand.Mem{Base: dst})
	g.ADDQ(ldd, dst)
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
	g.VZEROUPPER()
	g.RET()
}

// tileFours writes c += x·w of integers, with two vectors of columns.
func (g *gen) tileFours() {
	g.function("tileFours", "(c *int32, ldc int, x *uint8, ldx int, w *uint32, ldw, m, k int)",
		"tileFours"+g.name+" adds the product of m rows of k fours of signed bytes and k rows of 32 fours of unsigned ones to c.",
		fmt.Sprintf("Strides are in numbers. m is 1 to %d.", g.rows))
	m := g.param("m")
	for i := 1; i <= g.rows; i++ {
		g.CMPQ(m, operand.Imm(uint64(i)))
		g.JE(operand.LabelRef(fmt.Sprintf("rows%d", i)))
	}
	g.RET()
	for m := 1; m <= g.rows; m++ {
		g.Label(fmt.Sprintf("rows%d", m))
		c, ldc := g.param("c"), g.stride("ldc", 4)
		x := g.rowsAt(g.param("x"), g.param("ldx"), m)
		w, ldw, k := g.param("w"), g.stride("ldw", 4), g.param("k")
		sums := g.vecs(2 * m)
		p := g.copyOf(c)
		for i := range m {
			g.VMOVDQU32(operand.Mem{Base: p}, sums[2*i])
			g.VMOVDQU32(operand.Mem{Base: p, Disp: 64}, sums[2*i+1])
			g.ADDQ(ldc, p)
		}
		loop, end := g.label("four"), g.label("four")
		g.Label(loop)
		g.DECQ(k)
		g.JL(operand.LabelRef(end))
		v := g.vecs(2)
		g.VMOVDQU32(operand.Mem{Base: w}, v[0])
		g.VMOVDQU32(operand.Mem{Base: w, Disp: 64}, v[1])
		for i := range m {
			for j := range v {
				g.VPDPBUSD_BCST(x.row(i, 0), v[j], sums[2*i+j])
			}
		}
		g.advance(x, 4)
		g.ADDQ(ldw, w)
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
		for i := range m {
			g.VMOVDQU32(sums[2*i], operand.Mem{Base: c})
			g.VMOVDQU32(sums[2*i+1], operand.Mem{Base: c, Disp: 64})
			g.ADDQ(ldc, c)
		}
		g.VZEROUPPER()
		g.RET()
	}
}
