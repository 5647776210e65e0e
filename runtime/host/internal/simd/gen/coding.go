package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// coding writes what gives weights codes, by blocks that are multiples of 16 numbers.
func coding(g *gen) {
	g.extremes()
	g.codes()
	g.nibbles()
}

// blocks writes a loop over blocks, and in it one over groups of 16 numbers.
func (g *gen) blocksOf16(begin, group, end func()) {
	block, blocks := g.param("block"), g.param("blocks")
	outer, inner := g.label("block"), g.label("group")
	left := g.GP64()
	g.Label(outer)
	begin()
	g.MOVQ(block, left)
	g.Label(inner)
	group()
	g.SUBQ(operand.Imm(16), left)
	g.JNZ(operand.LabelRef(inner))
	end()
	g.DECQ(blocks)
	g.JNZ(operand.LabelRef(outer))
}

func (g *gen) extremes() {
	g.function("extremes", "(least, most, w *float32, block, blocks int)",
		"extremes"+g.name+" stores the least and greatest numbers of blocks, at most and at least 0.")
	least, most, w := g.param("least"), g.param("most"), g.param("w")
	lo, hi := g.vec(), g.vec()
	g.blocksOf16(func() {
		g.pxor(lo, lo, lo)
		g.pxor(hi, hi, hi)
	}, func() {
		for i := range 16 / g.floats {
			x := g.vec()
			g.VMOVUPS(operand.Mem{Base: w, Disp: i * g.bytes()}, x)
			g.VMINPS(lo, x, lo) // lo where x is no number
			g.VMAXPS(hi, x, hi)
		}
		g.ADDQ(operand.Imm(64), w)
	}, func() {
		g.VMOVSS(g.joined(lo, func(y, x, to operand.Op) { g.VMINPS(y, x, to) }), operand.Mem{Base: least})
		g.VMOVSS(g.joined(hi, func(y, x, to operand.Op) { g.VMAXPS(y, x, to) }), operand.Mem{Base: most})
		g.ADDQ(operand.Imm(4), least)
		g.ADDQ(operand.Imm(4), most)
	})
	g.VZEROUPPER()
	g.RET()
}

// joined joins the lanes of a vector by halves, and leaves what comes out in the
// lowest one of a register of 128 bits.
func (g *gen) joined(v reg.VecVirtual, join func(y, x, to operand.Op)) reg.VecVirtual {
	y := v
	if g.floats == 16 {
		y = g.YMM()
		g.VEXTRACTF64X4(operand.Imm(1), v, y)
		join(y, v.AsY(), y)
	}
	low, t := g.upper(y), g.XMM()
	join(low, y.AsX(), low)
	g.VPSHUFD(operand.Imm(0x0e), low, t) // lanes 2 and 3
	join(t, low, low)
	g.VPSHUFD(operand.Imm(0x01), low, t)
	join(t, low, low)
	return low
}

func (g *gen) codes() {
	g.function("codes", "(q *uint8, w, scale, inverse, zero *float32, top, block, blocks int) (sum, largest float32)",
		"codes"+g.name+" stores the nearest codes of numbers in blocks, and returns the sum of the squared errors and the largest error.")
	q, w := g.param("q"), g.param("w")
	scales, inverses, zeros := g.param("scale"), g.param("inverse"), g.param("zero")
	most, none, half, magnitude := g.vec(), g.vec(), g.broadcast(0.5), g.broadcastBits(1<<31-1)
	top := g.memory("top")
	g.VPBROADCASTD(top, most)
	g.pxor(none, none, none)
	sums, largest := g.vecs(16/g.floats), g.vec()
	for _, v := range append([]reg.VecVirtual{largest}, sums...) {
		g.pxor(v, v, v)
	}
	scale, inverse, zero, start := g.vec(), g.vec(), g.vec(), g.vec()
	g.blocksOf16(func() {
		g.VBROADCASTSS(operand.Mem{Base: scales}, scale)
		g.VBROADCASTSS(operand.Mem{Base: inverses}, inverse)
		g.VBROADCASTSS(operand.Mem{Base: zeros}, zero)
		g.VADDPS(half, zero, start)
		for _, p := range []reg.GPVirtual{scales, inverses, zeros} {
			g.ADDQ(operand.Imm(4), p)
		}
	}, func() {
		var codes []reg.VecVirtual
		for i, sum := range sums {
			x, n, d := g.vec(), g.vec(), g.vec()
			g.VMOVUPS(operand.Mem{Base: w, Disp: i * g.bytes()}, x)
			g.VMULPS(inverse, x, n)
			g.VADDPS(start, n, n)
			g.VCVTTPS2DQ(n, n)
			g.VPMINSD(most, n, n)
			g.VPMAXSD(none, n, n)
			codes = append(codes, n)
			g.VCVTDQ2PS(n, d)
			g.VSUBPS(zero, d, d)
			g.VMULPS(scale, d, d)
			g.VSUBPS(x, d, d)
			g.pand(magnitude, d, x)
			g.VPMAXUD(x, largest, largest)
			g.VMULPS(d, d, d)
			g.VADDPS(d, sum, sum)
		}
		if g.floats == 16 {
			g.VPMOVDB(codes[0], operand.Mem{Base: q})
		} else {
			v, high := codes[0], g.XMM()
			g.VPACKUSDW(codes[1], v, v) // of each, four, then of each the other four
			g.VPERMQ(operand.Imm(0xd8), v, v)
			g.VEXTRACTI128(operand.Imm(1), v, high)
			g.VPACKUSWB(high, v.AsX(), high)
			g.VMOVDQU(high, operand.Mem{Base: q})
		}
		g.ADDQ(operand.Imm(16), q)
		g.ADDQ(operand.Imm(64), w)
	}, func() {})
	if len(sums) == 2 {
		g.VADDPS(sums[1], sums[0], sums[0])
	}
	g.Store(g.joined(sums[0], func(y, x, to operand.Op) { g.VADDPS(y, x, to) }), g.ReturnIndex(0))
	g.Store(g.joined(largest, func(y, x, to operand.Op) { g.VPMAXUD(y, x, to) }), g.ReturnIndex(1))
	g.VZEROUPPER()
	g.RET()
}

func (g *gen) nibbles() {
	g.function("nibbles", "(dst, q *uint8, n int)", "nibbles"+g.name+" stores 2·n codes of 4 bits as n bytes; n is a multiple of 16.")
	dst, q, n := g.param("dst"), g.param("q"), g.param("n")
	places, r := g.YMM(), g.GP32()
	g.MOVL(operand.U32(0x10011001), r) // times 1 and times 16
	g.VMOVD(r, places.AsX())
	g.VPBROADCASTD(places.AsX(), places)
	loop := g.label("loop")
	g.Label(loop)
	v := g.YMM()
	g.VMOVDQU(operand.Mem{Base: q}, v)
	g.VPMADDUBSW(places, v, v)
	g.VPACKUSWB(v, v, v)
	g.VPERMQ(operand.Imm(0x08), v, v)
	g.VMOVDQU(v.AsX(), operand.Mem{Base: dst})
	g.ADDQ(operand.Imm(32), q)
	g.ADDQ(operand.Imm(16), dst)
	g.SUBQ(operand.Imm(16), n)
	g.JNZ(operand.LabelRef(loop))
	g.VZEROUPPER()
	g.RET()
}
