package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// axpys writes c += x·w for one row x, where w is stored as k rows: what tile
// does for one row, in the order in which w lies in memory.
func axpys(g *gen) {
	for _, s := range storedTypes {
		g.function("axpy"+s.name, "(c, x *float32, w *"+s.goType+", ldw, n, k int)",
			"axpy"+s.name+g.name+" adds the products of k numbers x and as many rows of w, n long, to c.")
		x, ldw := g.param("x"), g.stride("ldw", s.size)
		for _, deep := range []int{8, 1} {
			loop, end := g.label("rows"), g.label("rows")
			g.Label(loop)
			left, _ := g.Param("k").Resolve()
			g.CMPQ(left.Addr, operand.Imm(uint64(deep)))
			g.JL(operand.LabelRef(end))
			g.SUBQ(operand.Imm(uint64(deep)), left.Addr)
			c, n := g.param("c"), g.param("n")
			w, _ := g.Param("w").Resolve()
			from := g.GP64()
			g.MOVQ(w.Addr, from)
			b := g.rowsAt(from, ldw, deep)
			var next rows // which the processor, that sees some rows read at once, does not guess
			if deep > 1 {
				g.LEAQ(operand.Mem{Base: from, Index: ldw, Scale: uint8(deep)}, from)
				next = g.rowsAt(from, ldw, deep)
			}
			by := g.vecs(deep)
			for i := range by {
				g.VBROADCASTSS(operand.Mem{Base: x, Disp: 4 * i}, by[i])
			}
			g.along(n, func(mask *reg.OpmaskVirtual) {
				sum := g.vec()
				g.load(storedTypes[0], operand.Mem{Base: c}, sum, mask)
				for i := range by {
					v := g.vec()
					if deep > 1 {
						g.PREFETCHT0(next.row(i, 0))
					}
					g.load(s, b.row(i, 0), v, mask)
					g.VFMADD231PS(v, by[i], sum)
				}
				if mask != nil {
					g.VMOVUPS(sum, *mask, operand.Mem{Base: c})
				} else {
					g.VMOVUPS(sum, operand.Mem{Base: c})
				}
				g.ADDQ(operand.Imm(uint64(g.bytes())), c)
				g.advance(b, g.floats*s.size)
				g.advance(next, g.floats*s.size)
			})
			if g.floats == 8 {
				g.oneByOne(n, func() {
					sum := g.XMM()
					g.VMOVSS(operand.Mem{Base: c}, sum)
					for i := range by {
						v := g.vec()
						g.loadOne(s, b.row(i, 0), v)
						g.VFMADD231SS(v.AsX(), by[i].AsX(), sum)
					}
					g.VMOVSS(sum, operand.Mem{Base: c})
					g.ADDQ(operand.Imm(4), c)
					g.advance(b, s.size)
				})
			}
			g.ADDQ(operand.Imm(uint64(4*deep)), x)
			for range deep {
				g.ADDQ(ldw, w.Addr)
			}
			g.JMP(operand.LabelRef(loop))
			g.Label(end)
		}
		g.VZEROUPPER()
		g.RET()
	}
}
