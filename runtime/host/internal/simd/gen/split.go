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
	g.splitRow()
	g.roundRow()
	for _, t := range storedTypes[:3] {
		g.splitPairs(t)
	}
}

// splitRow writes how a row of the left side becomes tiles.
func (g *gen) splitRow() {
	g.function("splitRow", "(d, x *float32, steps, count int)", "splitRow"+g.name+" stores the first count parts of so many steps of 32 numbers of a row: those of a step are a line of each tile.")
	d, x, steps, count := g.param("d"), g.param("x"), g.param("steps"), g.param("count")
	s := g.splitter()
	loop := g.label("steps")
	g.Label(loop)
	halves := make([][]reg.VecVirtual, 2)
	for i := range halves {
		v := g.vec()
		g.VMOVUPS(operand.Mem{Base: x, Disp: i * g.bytes()}, v)
		halves[i] = s.parts(g, v)
	}
	g.storeParts(d, count, func(p int, to operand.Mem) {
		for i, h := range halves {
			to.Disp = i * g.bytes() / 2
			g.VPSRLD(operand.Imm(16), h[p], h[p])
			g.VPMOVDW(h[p], to)
		}
	})
	g.ADDQ(operand.Imm(uint64(2*g.bytes())), x)
	g.DECQ(steps)
	g.JNZ(operand.LabelRef(loop))
	g.VZEROUPPER()
	g.RET()
}

// roundRow writes the same for numbers that are rounded to one part.
func (g *gen) roundRow() {
	g.function("roundRow", "(d, x *float32, steps int)", "roundRow"+g.name+" stores so many steps of 32 numbers of a row, rounded to bfloat16, ties to even.")
	d, x, steps := g.param("d"), g.param("x"), g.param("steps")
	r := g.bf16Rounder()
	loop := g.label("steps")
	g.Label(loop)
	for i := range 2 {
		v := g.vec()
		g.VMOVUPS(operand.Mem{Base: x, Disp: i * g.bytes()}, v)
		g.VPMOVDW(r.round(g, v), operand.Mem{Base: d, Disp: i * g.bytes() / 2})
	}
	g.ADDQ(operand.Imm(uint64(2*g.bytes())), x)
	g.ADDQ(operand.I32(tileBytes), d)
	g.DECQ(steps)
	g.JNZ(operand.LabelRef(loop))
	g.VZEROUPPER()
	g.RET()
}

// splitPairs writes how two rows of the right side become tiles: rows of weights of 16 bits
// need no pass of their own that widens them.
func (g *gen) splitPairs(of stored) {
	name := "splitPairs" + of.name
	g.function(name, "(d *float32, band int, low, high *"+of.goType+", n, count, ahead int)",
		name+g.name+" stores the first count parts of n numbers of two rows as pairs, a line of tiles that lie band bytes apart. Numbers so many bytes ahead are asked for.")
	d, band, low, high := g.param("d"), g.param("band"), g.param("low"), g.param("high")
	n, count, ahead := g.param("n"), g.param("count"), g.param("ahead")
	s := g.splitter()
	loop, all := g.label("loop"), g.label("all")
	mask, ones := g.K(), g.GP64()
	g.MOVQ(operand.I32(-1), ones)
	g.KMOVW(ones.As32(), mask)
	g.Label(loop)
	g.CMPQ(n, operand.Imm(uint64(g.floats)))
	g.JGE(operand.LabelRef(all))
	bits := g.GP64()
	g.BZHIQ(n, ones, bits)
	g.KMOVW(bits.As32(), mask)
	g.Label(all)
	rows := make([][]reg.VecVirtual, 2)
	for i, at := range []reg.GPVirtual{low, high} {
		g.PREFETCHT0(operand.Mem{Base: at, Index: ahead, Scale: 1})
		v := g.vec()
		g.load(of, operand.Mem{Base: at}, v, &mask)
		rows[i] = s.parts(g, v)
		g.ADDQ(operand.Imm(uint64(of.size*g.floats)), at)
	}
	g.storeParts(g.copyOf(d), count, func(p int, to operand.Mem) {
		g.VPSRLD(operand.Imm(16), rows[0][p], rows[0][p])
		g.por(rows[0][p], rows[1][p], rows[1][p])
		g.VMOVUPS(rows[1][p], to)
	})
	g.ADDQ(band, d)
	g.SUBQ(operand.Imm(uint64(g.floats)), n)
	g.JG(operand.LabelRef(loop))
	g.VZEROUPPER()
	g.RET()
}

// storeParts calls store with each of count parts and where it goes, and moves at behind them.
func (g *gen) storeParts(at reg.GPVirtual, count reg.GPVirtual, store func(p int, to operand.Mem)) {
	done := g.label("stored")
	for p := range mostParts {
		if p > 0 {
			g.CMPQ(count, operand.Imm(uint64(p)))
			g.JE(operand.LabelRef(done))
		}
		store(p, operand.Mem{Base: at})
		g.ADDQ(operand.I32(tileBytes), at)
	}
	g.Label(done)
}

// splitter holds what adds half of the last place of bfloat16, and what masks it.
type splitter struct{ half, mask reg.VecVirtual }

func (g *gen) splitter() splitter {
	return splitter{g.broadcastBits(0x8000), g.broadcastBits(0xffff0000)}
}

// parts takes v, and returns its parts as float32.
func (s splitter) parts(g *gen, v reg.VecVirtual) []reg.VecVirtual {
	h := g.vecs(mostParts)
	for i := range 2 {
		g.VPADDD(s.half, v, h[i])
		g.pand(s.mask, h[i], h[i])
		g.VSUBPS(h[i], v, v)
	}
	g.pand(s.mask, v, h[2])
	return h
}
