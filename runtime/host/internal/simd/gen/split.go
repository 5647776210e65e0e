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
