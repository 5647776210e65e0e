package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// split writes how float32 numbers become three bfloat16 numbers each, of which they
// are the sum: the first two rounded, ties away from zero, the last one what is left.
func split(g *gen) {
	if g.floats != 16 {
		return
	}
	g.function("splitRow", "(d0, d1, d2, x *float32, n int)", "splitRow"+g.name+" stores the parts of n numbers; n is whole vectors.")
	d := []reg.GPVirtual{g.param("d0"), g.param("d1"), g.param("d2")}
	x := g.param("x")
	s := g.splitter()
	g.whole(func() {
		v := g.vec()
		g.VMOVUPS(operand.Mem{Base: x}, v)
		for i, h := range s.parts(g, v) {
			g.VPSRLD(operand.Imm(16), h, h)
			g.VPMOVDW(h, operand.Mem{Base: d[i]})
			g.ADDQ(operand.Imm(uint64(2*g.floats)), d[i])
		}
		g.ADDQ(operand.Imm(uint64(g.bytes())), x)
	})

	g.function("splitPairs", "(d0, d1, d2, low, high *float32, n int)", "splitPairs"+g.name+" stores the parts of n numbers of two rows as pairs; n is whole vectors.")
	d = []reg.GPVirtual{g.param("d0"), g.param("d1"), g.param("d2")}
	low, high := g.param("low"), g.param("high")
	s = g.splitter()
	g.whole(func() {
		l, h := g.vec(), g.vec()
		g.VMOVUPS(operand.Mem{Base: low}, l)
		g.VMOVUPS(operand.Mem{Base: high}, h)
		lows, highs := s.parts(g, l), s.parts(g, h)
		for i := range lows {
			g.VPSRLD(operand.Imm(16), lows[i], lows[i])
			g.por(lows[i], highs[i], highs[i])
			g.VMOVUPS(highs[i], operand.Mem{Base: d[i]})
		}
		g.next(append(d, low, high)...)
	})
	g.splitHalves()
}

// splitHalves widens what it splits: rows of weights need no pass of their own before.
func (g *gen) splitHalves() {
	g.function("splitHalves", "(d0, d1 *float32, ldd int, w *uint16, ldw, k, n int)",
		"splitHalves"+g.name+" stores the two parts of 2k rows of n float16 numbers, 1 to 32, as pairs. Strides are in numbers.")
	n := g.param("n")
	g.CMPQ(n, operand.Imm(uint64(g.floats)))
	g.JLE(operand.LabelRef("narrow"))
	g.splitHalvesOf(2)
	g.Label("narrow")
	g.splitHalvesOf(1)
}

// splitHalvesOf writes that for so many vectors of columns.
func (g *gen) splitHalvesOf(wide int) {
	half := storedTypes[1]
	n := g.param("n")
	if wide == 2 {
		g.SUBQ(operand.Imm(uint64(g.floats)), n)
	}
	mask := g.tail(n)
	d, ldd := []reg.GPVirtual{g.param("d0"), g.param("d1")}, g.stride("ldd", 4)
	w, ldw, k := g.param("w"), g.stride("ldw", half.size), g.param("k")
	s := g.splitter()
	loop := g.label("pairs")
	g.Label(loop)
	g.PREFETCHT0(operand.Mem{Base: w, Index: ldw, Scale: 8})
	next := g.copyOf(w)
	g.ADDQ(ldw, next)
	g.PREFETCHT0(operand.Mem{Base: next, Index: ldw, Scale: 8})
	for j := range wide {
		last := &mask
		if j < wide-1 {
			last = nil
		}
		low, high := g.vec(), g.vec()
		g.load(half, operand.Mem{Base: w, Disp: j * half.size * g.floats}, low, last)
		g.load(half, operand.Mem{Base: next, Disp: j * half.size * g.floats}, high, last)
		for i := range d {
			l, h := low, high
			if i == 0 { // rounded; what is left has no more bits than a part
				l, h = g.vec(), g.vec()
				for _, v := range [][2]reg.VecVirtual{{low, l}, {high, h}} {
					g.VPADDD(s.half, v[0], v[1])
					g.pand(s.mask, v[1], v[1])
					g.VSUBPS(v[1], v[0], v[0])
				}
			}
			g.VPSRLD(operand.Imm(16), l, l)
			g.por(l, h, h)
			at := operand.Mem{Base: d[i], Disp: j * g.bytes()}
			if last == nil {
				g.VMOVUPS(h, at)
			} else {
				g.VMOVUPS(h, *last, at)
			}
		}
	}
	g.ADDQ(ldd, d[0])
	g.ADDQ(ldd, d[1])
	g.LEAQ(operand.Mem{Base: next, Index: ldw, Scale: 1}, w)
	g.DECQ(k)
	g.JNZ(operand.LabelRef(loop))
	g.VZEROUPPER()
	g.RET()
}

// splitter holds what adds half of the last place of bfloat16, and what masks it.
type splitter struct{ half, mask reg.VecVirtual }

func (g *gen) splitter() splitter {
	return splitter{g.broadcastBits(0x8000), g.broadcastBits(0xffff0000)}
}

// parts takes v, and returns its parts as float32.
func (s splitter) parts(g *gen, v reg.VecVirtual) []reg.VecVirtual {
	h := g.vecs(3)
	for i := range 2 {
		g.VPADDD(s.half, v, h[i])
		g.pand(s.mask, h[i], h[i])
		g.VSUBPS(h[i], v, v)
	}
	g.pand(s.mask, v, h[2])
	return h
}
