package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
)

// tile writes c += a·b for up to as many rows as the level has sums for, and up
// to two vectors of columns. Every sum takes up its products in ascending order,
// each by one fused addition.
func tile(g *gen) {
	doc := "adds the product of m rows of a and k rows of b, n columns wide, to c. Strides are in numbers."
	if g.floats == 16 {
		g.function("tile", "(c *float32, ldc int, a *float32, lda int, b *float32, ldb, m, n, k int)", "tile"+g.name+" "+doc, "m is 1 to 12, n 1 to 32.")
	} else {
		g.function("tile", "(c *float32, ldc int, a *float32, lda int, b *float32, ldb, m, n, k int)", "tile"+g.name+" "+doc, "m is 1 to 6, n is 8 or 16.")
	}
	m := g.param("m")
	for i := 1; i <= g.rows; i++ {
		g.CMPQ(m, operand.Imm(uint64(i)))
		g.JE(operand.LabelRef(fmt.Sprintf("rows%d", i)))
	}
	g.RET()
	for i := 1; i <= g.rows; i++ {
		g.Label(fmt.Sprintf("rows%d", i))
		n := g.param("n")
		g.CMPQ(n, operand.Imm(uint64(g.floats)))
		g.JLE(operand.LabelRef(fmt.Sprintf("narrow%d", i)))
		g.tileOf(i, 2)
		g.Label(fmt.Sprintf("narrow%d", i))
		g.tileOf(i, 1)
	}
}

// tileOf writes the tile of m rows and so many vectors.
func (g *gen) tileOf(m, wide int) {
	c, ldc := g.param("c"), g.stride("ldc", 4)
	at, lda := g.param("a"), g.stride("lda", 4)
	b, ldb := g.param("b"), g.stride("ldb", 4)
	k := g.param("k")
	load := func(from operand.Mem, to operand.Op, j int) { g.VMOVUPS(from, to) }
	store := func(from operand.Op, to operand.Mem, j int) { g.VMOVUPS(from, to) }
	if g.floats == 16 {
		n := g.param("n")
		if wide == 2 {
			g.SUBQ(operand.Imm(16), n)
		}
		mask := g.tail(n)
		load = func(from operand.Mem, to operand.Op, j int) {
			if j == wide-1 {
				g.VMOVUPS_Z(from, mask, to)
			} else {
				g.VMOVUPS(from, to)
			}
		}
		store = func(from operand.Op, to operand.Mem, j int) {
			if j == wide-1 {
				g.VMOVUPS(from, mask, to)
			} else {
				g.VMOVUPS(from, to)
			}
		}
	}
	sums := g.vecs(m * wide)
	p := g.copyOf(c)
	for i := range m {
		for j := range wide {
			load(operand.Mem{Base: p, Disp: j * g.bytes()}, sums[i*wide+j], j)
		}
		g.ADDQ(ldc, p)
	}
	a := g.rowsAt(at, lda, m)
	loop, end := g.label("products"), g.label("products")
	g.TESTQ(k, k)
	g.JZ(operand.LabelRef(end))
	g.Label(loop)
	w := g.vecs(wide)
	for j := range wide {
		load(operand.Mem{Base: b, Disp: j * g.bytes()}, w[j], j)
	}
	g.ADDQ(ldb, b)
	for i := range m {
		x := g.vec()
		g.VBROADCASTSS(a.row(i, 0), x)
		for j := range wide {
			g.VFMADD231PS(w[j], x, sums[i*wide+j])
		}
	}
	g.advance(a, 4)
	g.DECQ(k)
	g.JNZ(operand.LabelRef(loop))
	g.Label(end)
	for i := range m {
		for j := range wide {
			store(sums[i*wide+j], operand.Mem{Base: c, Disp: j * g.bytes()}, j)
		}
		g.ADDQ(ldc, c)
	}
	g.VZEROUPPER()
	g.RET()
}
