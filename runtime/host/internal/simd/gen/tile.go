package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tile writes c += a·b for up to as many rows as the level has sums for, and up
// to two vectors of columns. Every sum takes up its products in ascending order,
// each by one fused addition.
func tile(g *gen) {
	fused := func(w, x, sum reg.VecVirtual) { g.VFMADD231PS(w, x, sum) }
	g.tiles("tile", storedTypes[0], fused)
	g.tiles("tileHalfF16", storedTypes[1], fused)
	g.tiles("tileHalfBF16", storedTypes[2], fused)
	g.tiles("tileI8", storedTypes[3], fused)
	if g.floats == 16 {
		// A number is a pair of bfloat16 here; bf16Products makes VDPBF16PS of these.
		g.tiles("tileBF16", storedTypes[0], func(w, x, sum reg.VecVirtual) { g.VPDPWSSD(w, x, sum) })
		g.interleave()
	}
}

// tiles writes a function of tiles, given the type of b and how products are added.
func (g *gen) tiles(name string, right stored, add func(w, x, sum reg.VecVirtual)) {
	doc := "adds the product of m rows of a and k rows of b, n columns wide, to c. Strides are in numbers."
	signature := "(c *float32, ldc int, a *float32, lda int, b *" + right.goType + ", ldb, m, n, k int)"
	if g.floats == 16 {
		g.function(name, signature, name+g.name+" "+doc, "m is 1 to 12, n 1 to 32.")
	} else {
		g.function(name, signature, name+g.name+" "+doc, "m is 1 to 6, n is 8 or 16.")
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
		g.tileOf(i, 2, right, add)
		g.Label(fmt.Sprintf("narrow%d", i))
		g.tileOf(i, 1, right, add)
	}
}

// tileOf writes the tile of m rows and so many vectors.
func (g *gen) tileOf(m, wide int, right stored, add func(w, x, sum reg.VecVirtual)) {
	c, ldc := g.param("c"), g.stride("ldc", 4)
	at, lda := g.param("a"), g.stride("lda", 4)
	b, ldb := g.param("b"), g.stride("ldb", right.size)
	k := g.param("k")
	load := func(from operand.Mem, to operand.Op, j int) { g.VMOVUPS(from, to) }
	store := func(from operand.Op, to operand.Mem, j int) { g.VMOVUPS(from, to) }
	widen := func(from operand.Mem, to reg.VecVirtual, j int) { g.load(right, from, to, nil) }
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
		widen = func(from operand.Mem, to reg.VecVirtual, j int) {
			if j == wide-1 {
				g.load(right, from, to, &mask)
			} else {
				g.load(right, from, to, nil)
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
	var behind reg.GPVirtual // in bytes: as many rows of b again, which are likely to come next
	if right.size == 2 {
		behind = g.copyOf(k)
		g.IMULQ(ldb, behind)
	}
	g.TESTQ(k, k)
	g.JZ(operand.LabelRef(end))
	g.Label(loop)
	w := g.vecs(wide)
	if right.size < 4 {
		g.PREFETCHT0(operand.Mem{Base: b, Index: ldb, Scale: 8})
		g.PREFETCHT1(operand.Mem{Base: b, Index: behind, Scale: 1})
	}
	for j := range wide {
		widen(operand.Mem{Base: b, Disp: j * g.floats * right.size}, w[j], j)
	}
	g.ADDQ(ldb, b)
	for i := range m {
		x := g.vec()
		g.VBROADCASTSS(a.row(i, 0), x)
		for j := range wide {
			add(w[j], x, sums[i*wide+j])
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

// interleave writes the pairing of two rows of bfloat16.
func (g *gen) interleave() {
	g.function("interleave", "(dst *float32, low, high *uint16, n int)", "interleave"+g.name+" stores pairs of numbers of two rows; n is whole vectors.")
	dst, low, high := g.param("dst"), g.param("low"), g.param("high")
	g.whole(func() {
		l, h := g.vec(), g.vec()
		g.VPMOVZXWD(operand.Mem{Base: low}, l)
		g.VPMOVZXWD(operand.Mem{Base: high}, h)
		g.VPSLLD(operand.Imm(16), h, h)
		g.por(l, h, h)
		g.VMOVUPS(h, operand.Mem{Base: dst})
		g.ADDQ(operand.Imm(uint64(g.bytes())), dst)
		g.ADDQ(operand.Imm(uint64(2*g.floats)), low)
		g.ADDQ(operand.Imm(uint64(2*g.floats)), high)
	})
}
