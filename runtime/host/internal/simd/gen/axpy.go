package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// axpys writes c += a·w, where w is stored as k rows: what tile does for a few rows,
// in the order in which w lies in memory.
func axpys(g *gen) {
	for _, s := range storedTypes {
		g.function("axpy"+s.name, "(c *float32, ldc int, a *float32, lda int, w *"+s.goType+", ldw, m, n, k int)",
			"axpy"+s.name+g.name+" adds the products of m rows of a, k numbers long, and k rows of w, n long, to c.",
			"Strides are in numbers. m is 1, 2 or 4.")
		g.byRows(
			func() { g.axpyOf(s, 1, 8) },
			func() { g.axpyOf(s, 2, g.floats/2) },
			func() { g.axpyOf(s, 4, g.floats/4) })
	}
}

// axpyOf writes the loop over rows of w for m rows of a: so many at a time that their
// factors stay in registers, and then one by one.
func (g *gen) axpyOf(s stored, m, most int) {
	at, lda := g.param("a"), g.stride("lda", 4)
	ldc, ldw := g.stride("ldc", 4), g.stride("ldw", s.size)
	for _, deep := range []int{most, 1} {
		loop, end := g.label("along"), g.label("along")
		g.Label(loop)
		left := g.memory("k")
		g.CMPQ(left, operand.Imm(uint64(deep)))
		g.JL(operand.LabelRef(end))
		g.SUBQ(operand.Imm(uint64(deep)), left)
		n, w := g.param("n"), g.param("w")
		b, c := g.rowsAt(w, ldw, deep), g.rowsAt(g.param("c"), ldc, m)
		var next rows // which the processor, that sees some rows read at once, does not guess
		if deep > 1 {
			g.LEAQ(operand.Mem{Base: w, Index: ldw, Scale: uint8(deep)}, w)
			next = g.rowsAt(w, ldw, deep)
		}
		x := g.rowsAt(at, lda, m)
		by := g.vecs(m * deep)
		for i := range by {
			g.VBROADCASTSS(x.row(i/deep, 4*(i%deep)), by[i])
		}
		g.along(n, func(mask *reg.OpmaskVirtual) {
			sums := g.vecs(m)
			for i := range sums {
				g.load(storedTypes[0], c.row(i, 0), sums[i], mask)
			}
			for p := range deep {
				v := g.vec()
				if deep > 1 {
					g.PREFETCHT0(next.row(p, 0))
				}
				g.load(s, b.row(p, 0), v, mask)
				for i := range sums {
					g.VFMADD231PS(v, by[i*deep+p], sums[i])
				}
			}
			for i := range sums {
				if mask != nil {
					g.VMOVUPS(sums[i], *mask, c.row(i, 0))
				} else {
					g.VMOVUPS(sums[i], c.row(i, 0))
				}
			}
			g.advance(c, g.bytes())
			g.advance(b, g.floats*s.size)
			g.advance(next, g.floats*s.size)
		})
		if g.floats == 8 {
			g.oneByOne(n, func() {
				for i := range m {
					sum := g.XMM()
					g.VMOVSS(c.row(i, 0), sum)
					for p := range deep {
						v := g.vec()
						g.loadOne(s, b.row(p, 0), v)
						g.VFMADD231SS(v.AsX(), by[i*deep+p].AsX(), sum)
					}
					g.VMOVSS(sum, c.row(i, 0))
				}
				g.advance(c, 4)
				g.advance(b, s.size)
			})
		}
		g.ADDQ(operand.Imm(uint64(4*deep)), at)
		from := g.memory("w")
		for range deep {
			g.ADDQ(ldw, from)
		}
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
	}
	g.VZEROUPPER()
	g.RET()
}
