package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose writes the turning of one vector's number of rows into columns.
func transpose(g *gen) {
	g.function("transpose", "(dst *float32, ldd int, src *float32, lds, n int)",
		"transpose"+g.name+" stores the n first columns of as many rows of src as a vector has lanes as rows of dst.",
		"n is a multiple of that number. Strides are in numbers.")
	dst, ldd := g.param("dst"), g.stride("ldd", 4)
	src, lds := g.param("src"), g.stride("lds", 4)
	n := g.param("n")
	loop := g.label("block")
	g.Label(loop)
	v := g.vecs(g.floats)
	p := g.copyOf(src)
	for _, r := range v {
		g.VMOVUPS(operand.Mem{Base: p}, r)
		g.ADDQ(lds, p)
	}
	for _, r := range g.turned(v) {
		g.VMOVUPS(r, operand.Mem{Base: dst})
		g.ADDQ(ldd, dst)
	}
	g.ADDQ(operand.Imm(uint64(g.bytes())), src)
	g.SUBQ(operand.Imm(uint64(g.floats)), n)
	g.JNZ(operand.LabelRef(loop))
	g.VZEROUPPER()
	g.RET()
}

// turned returns as many vectors as one has lanes, turned: lane i of vector j is lane j of
// vector i. Those given are gone then.
func (g *gen) turned(v []reg.VecVirtual) []reg.VecVirtual {
	// After each stage, register r holds for the columns that its number names
	// twice as many rows as before.
	pairs := func(step int, low, high func(a, b, to reg.VecVirtual)) {
		for i := range v {
			if i&step == 0 {
				a, b := v[i], v[i|step]
				h := g.vec()
				high(a, b, h)
				low(a, b, a)
				v[i], v[i|step] = a, h
			}
		}
	}
	pairs(1, func(a, b, to reg.VecVirtual) { g.VUNPCKLPS(b, a, to) }, func(a, b, to reg.VecVirtual) { g.VUNPCKHPS(b, a, to) })
	pairs(2, func(a, b, to reg.VecVirtual) { g.VUNPCKLPD(b, a, to) }, func(a, b, to reg.VecVirtual) { g.VUNPCKHPD(b, a, to) })
	// Lanes of 128 bits now hold four rows of one column: row group i/4, and column
	// 4·lane + order[i%4].
	order := []int{0, 2, 1, 3}
	out := make([]reg.VecVirtual, g.floats)
	if g.floats == 8 {
		for i := range 4 {
			a, b := v[i], v[i+4]
			h := g.vec()
			g.VPERM2F128(operand.Imm(0x31), b, a, h)
			g.VINSERTF128(operand.Imm(1), b.AsX(), a, a)
			out[order[i]], out[4+order[i]] = a, h
		}
	} else {
		for i := range 4 {
			a, b, c, d := v[i], v[i+4], v[i+8], v[i+12]
			s, t := g.vec(), g.vec()
			g.VSHUFF32X4(operand.Imm(0xdd), b, a, s) // columns of lanes 1 and 3, rows 0 to 7
			g.VSHUFF32X4(operand.Imm(0x88), b, a, a) // of lanes 0 and 2
			g.VSHUFF32X4(operand.Imm(0xdd), d, c, t)
			g.VSHUFF32X4(operand.Imm(0x88), d, c, c)
			g.VSHUFF32X4(operand.Imm(0x88), c, a, b) // lane 0
			g.VSHUFF32X4(operand.Imm(0xdd), c, a, a) // lane 2
			g.VSHUFF32X4(operand.Imm(0x88), t, s, d) // lane 1
			g.VSHUFF32X4(operand.Imm(0xdd), t, s, s) // lane 3
			out[order[i]], out[4+order[i]], out[8+order[i]], out[12+order[i]] = b, d, a, s
		}
	}
	return out
}
