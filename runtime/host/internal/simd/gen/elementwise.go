package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// broadcastBits returns a vector of a constant of 32 bits.
func (g *gen) broadcastBits(bits uint32) reg.VecVirtual {
	v, r := g.vec(), g.GP32()
	g.MOVL(operand.U32(bits), r)
	if g.floats == 16 {
		g.VPBROADCASTD(r, v)
	} else {
		g.VMOVD(r, v.AsX())
		g.VPBROADCASTD(v.AsX(), v)
	}
	return v
}

func (g *gen) broadcast(x float32) reg.VecVirtual { return g.broadcastBits(math.Float32bits(x)) }

func (g *gen) pand(a, b, to operand.Op) {
	if g.floats == 16 {
		g.VPANDD(a, b, to)
	} else {
		g.VPAND(a, b, to)
	}
}

func (g *gen) por(a, b, to operand.Op) {
	if g.floats == 16 {
		g.VPORD(a, b, to)
	} else {
		g.VPOR(a, b, to)
	}
}

// elementwise writes functions of single numbers. They round after every
// operation, as the Go ones do, and have their bits. n is whole vectors.
func elementwise(g *gen) {
	for _, f := range []struct {
		name, doc string
		do        func(y, x, to operand.Op)
	}{
		{"add", "x + y", func(y, x, to operand.Op) { g.VADDPS(y, x, to) }},
		{"sub", "x - y", func(y, x, to operand.Op) { g.VSUBPS(y, x, to) }},
		{"mul", "x·y", func(y, x, to operand.Op) { g.VMULPS(y, x, to) }},
		{"div", "x/y", func(y, x, to operand.Op) { g.VDIVPS(y, x, to) }},
	} {
		g.function(f.name, "(z, x, y *float32, n int)", f.name+g.name+" stores "+f.doc+" in z.")
		z, x, y := g.param("z"), g.param("x"), g.param("y")
		g.whole(func() {
			v := g.vec()
			g.VMOVUPS(operand.Mem{Base: x}, v)
			f.do(operand.Mem{Base: y}, v, v)
			g.VMOVUPS(v, operand.Mem{Base: z})
			g.next(z, x, y)
		})
	}
	g.function("scale", "(y, x *float32, by float32, n int)", "scale"+g.name+" stores by·x in y.")
	y, x := g.param("y"), g.param("x")
	by := g.splat("by")
	g.whole(func() {
		v := g.vec()
		g.VMULPS(operand.Mem{Base: x}, by, v)
		g.VMOVUPS(v, operand.Mem{Base: y})
		g.next(y, x)
	})
	g.turnHalves()
	g.expShifted()
	g.swishMul()
	g.sums()
}

// next moves pointers by a vector.
func (g *gen) next(pointers ...reg.GPVirtual) {
	for _, p := range pointers {
		g.ADDQ(operand.Imm(uint64(g.bytes())), p)
	}
}

// splat broadcasts a parameter.
func (g *gen) splat(name string) reg.VecVirtual {
	v := g.vec()
	g.VBROADCASTSS(g.memory(name), v)
	return v
}

func (g *gen) turnHalves() {
	g.function("turnHalves", "(y0, y1, x0, x1, cos, sin *float32, n int)", "turnHalves"+g.name+" turns n pairs (x0, x1) by angles.")
	y0, y1, x0, x1, cos, sin := g.param("y0"), g.param("y1"), g.param("x0"), g.param("x1"), g.param("cos"), g.param("sin")
	g.whole(func() {
		c, s, p, q, r := g.vec(), g.vec(), g.vec(), g.vec(), g.vec()
		g.VMOVUPS(operand.Mem{Base: cos}, c)
		g.VMOVUPS(operand.Mem{Base: sin}, s)
		g.VMOVUPS(operand.Mem{Base: x0}, p)
		g.VMOVUPS(operand.Mem{Base: x1}, q)
		g.VMULPS(p, c, r)
		g.VMULPS(p, s, p)
		g.VMULPS(q, s, s)
		g.VMULPS(q, c, c)
		g.VSUBPS(s, r, r)
		g.VADDPS(c, p, p)
		g.VMOVUPS(r, operand.Mem{Base: y0})
		g.VMOVUPS(p, operand.Mem{Base: y1})
		g.next(y0, y1, x0, x1, cos, sin)
	})
}

// exponential holds the constants of exp.
type exponential struct {
	low, high, log2e, magic, ln2a, ln2b, one reg.VecVirtual
	p                                        []reg.VecVirtual
}

func (g *gen) exponential() *exponential {
	e := &exponential{
		low: g.broadcast(-87.33), high: g.broadcast(88.37), log2e: g.broadcast(math.Log2E), magic: g.broadcast(0x1.8p23),
		ln2a: g.broadcast(0.693359375), ln2b: g.broadcast(2.12194440e-4), one: g.broadcast(1),
	}
	if g.floats == 8 {
		return e // sixteen registers do not hold the polynomial
	}
	for _, c := range coefficients {
		e.p = append(e.p, g.broadcast(c))
	}
	return e
}

var coefficients = []float32{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1}

// exp computes that of package simd in place, and jumps to far unless all numbers
// have exponents that it takes.
func (g *gen) exp(e *exponential, x reg.VecVirtual, far string) {
	bits := g.GP32()
	if g.floats == 16 {
		in := g.K()
		g.VCMPPS(operand.Imm(0x1e), e.low, x, in) // x > low
		g.VCMPPS(operand.Imm(0x11), e.high, x, in, in)
		g.KMOVW(in, bits)
		g.CMPL(bits, operand.U32(0xffff))
	} else {
		a, b := g.vec(), g.vec()
		g.VCMPPS(operand.Imm(0x1e), e.low, x, a)
		g.VCMPPS(operand.Imm(0x11), e.high, x, b)
		g.VANDPS(a, b, a)
		g.VMOVMSKPS(a, bits)
		g.CMPL(bits, operand.U32(0xff))
	}
	g.JNE(operand.LabelRef(far))
	t, n, p, r := g.vec(), g.vec(), g.vec(), x
	g.VMULPS(e.log2e, x, t)
	g.VADDPS(e.magic, t, t)
	g.VSUBPS(e.magic, t, n)
	g.VMULPS(e.ln2a, n, p)
	g.VSUBPS(p, x, r)
	g.VMULPS(e.ln2b, n, p)
	g.VADDPS(p, r, r)
	coefficient := func(i int) operand.Op {
		if e.p != nil {
			return e.p[i]
		}
		return g.constants("coefficients", coefficients)[i]
	}
	g.VMULPS(coefficient(0), r, p)
	for i := 1; i < len(coefficients); i++ {
		g.VADDPS(coefficient(i), p, p)
		if i < len(coefficients)-1 {
			g.VMULPS(r, p, p)
		}
	}
	g.VMULPS(r, r, n)
	g.VMULPS(n, p, p)
	g.VADDPS(r, p, p)
	g.VADDPS(e.one, p, p)
	g.VPSLLD(operand.Imm(23), t, t)
	g.VPADDD(e.one, t, t)
	g.VMULPS(t, p, x)
}

func (g *gen) expShifted() {
	g.function("expShifted", "(s *float32, shift float32, n int) int",
		"expShifted"+g.name+" replaces every number by exp(s - shift), up to a vector in which exp needs more care, and returns how many it did.")
	s, n := g.param("s"), g.param("n")
	e := g.exponential()
	shift := g.splat("shift")
	start := g.copyOf(s)
	loop, end := g.label("loop"), g.label("loop")
	g.Label(loop)
	g.SUBQ(operand.Imm(uint64(g.floats)), n)
	g.JL(operand.LabelRef(end))
	v := g.vec()
	g.VMOVUPS(operand.Mem{Base: s}, v)
	g.VSUBPS(shift, v, v)
	g.exp(e, v, end)
	g.VMOVUPS(v, operand.Mem{Base: s})
	g.next(s)
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
	g.done(s, start)
}

// done returns how many numbers a pointer went.
func (g *gen) done(s, start reg.GPVirtual) {
	g.SUBQ(start, s)
	g.SHRQ(operand.Imm(2), s)
	g.Store(s, g.ReturnIndex(0))
	g.VZEROUPPER()
	g.RET()
}

func (g *gen) swishMul() {
	g.function("swishMul", "(z, x, y *float32, alpha float32, n int) int",
		"swishMul"+g.name+" stores x/(1 + exp(-alpha·x))·y in z, up to a vector in which exp needs more care, and returns how many it did.")
	z, x, y, n := g.param("z"), g.param("x"), g.param("y"), g.param("n")
	e := g.exponential()
	start := g.copyOf(z)
	loop, end := g.label("loop"), g.label("loop")
	g.Label(loop)
	g.SUBQ(operand.Imm(uint64(g.floats)), n)
	g.JL(operand.LabelRef(end))
	v, sign := g.vec(), g.vec()
	g.VMULPS(operand.Mem{Base: x}, g.splat("alpha"), v)
	g.pxor(v, v, sign)
	g.VSUBPS(v, sign, v)
	g.exp(e, v, end)
	g.VADDPS(e.one, v, v)
	g.VDIVPS(v, e.one, v)
	g.VMULPS(operand.Mem{Base: x}, v, v)
	g.VMULPS(operand.Mem{Base: y}, v, v)
	g.VMOVUPS(v, operand.Mem{Base: z})
	g.next(z, x, y)
	g.JMP(operand.LabelRef(loop))
	g.Label(end)
	g.done(z, start)
}

// pxor is the exclusive or of whole vectors.
func (g *gen) pxor(a, b, to operand.Op) {
	if g.floats == 16 {
		g.VPXORD(a, b, to)
	} else {
		g.VPXOR(a, b, to)
	}
}

// constants returns the places of vectors that repeat a constant.
func (g *gen) constants(name string, values []float32) []operand.Mem {
	var repeated []float32
	for _, v := range values {
		for range g.floats {
			repeated = append(repeated, v)
		}
	}
	at := make([]operand.Mem, len(values))
	for i := range at {
		at[i] = g.table(name, repeated).Offset(i * g.bytes())
	}
	return at
}

// table returns the place of constants.
func (g *gen) table(name string, values []float32) operand.Mem {
	if g.data == nil {
		g.data = map[string]operand.Mem{}
	}
	at, ok := g.data[name]
	if !ok {
		at = g.StaticGlobal(name)
		g.DataAttributes(attr.RODATA | attr.NOPTR)
		for i, v := range values {
			g.AddDatum(4*i, operand.U32(math.Float32bits(v)))
		}
		g.data[name] = at
	}
	return at
}

// integers is table of 32-bit integers.
func (g *gen) integers(name string, values []int) operand.Mem {
	var bits []float32
	for _, v := range values {
		bits = append(bits, math.Float32frombits(uint32(v)))
	}
	return g.table(name, bits)
}

// sums writes the sums and maxima of numbers: 16 lanes, that of a number's
// index, whatever the level, which are joined by halves.
func (g *gen) sums() {
	lanes := 16 / g.floats
	for _, f := range []struct {
		name, doc string
		take      func(at operand.Mem, sum reg.VecVirtual)
		join      func(y, x, to operand.Op)
	}{
		{"sum", "the sum of the numbers", func(at operand.Mem, sum reg.VecVirtual) { g.VADDPS(at, sum, sum) },
			func(y, x, to operand.Op) { g.VADDPS(y, x, to) }},
		{"sumSquares", "the sum of their squares", func(at operand.Mem, sum reg.VecVirtual) {
			v := g.vec()
			g.VMOVUPS(at, v)
			g.VMULPS(v, v, v)
			g.VADDPS(v, sum, sum)
		}, func(y, x, to operand.Op) { g.VADDPS(y, x, to) }},
		{"largest", "the largest of those that are numbers, or start", func(at operand.Mem, sum reg.VecVirtual) {
			v := g.vec()
			g.VMOVUPS(at, v)
			g.VMAXPS(sum, v, sum)
		}, func(y, x, to operand.Op) { g.VMAXPS(y, x, to) }},
		{"magnitude", "the bits of the largest magnitude, or of what is no number, moved up by one", func(at operand.Mem, sum reg.VecVirtual) {
			v := g.vec()
			g.VMOVUPS(at, v)
			g.VPADDD(v, v, v) // the sign falls out
			g.VPMAXUD(sum, v, sum)
		}, func(y, x, to operand.Op) { g.VPMAXUD(y, x, to) }},
	} {
		g.function(f.name, "(x *float32, start float32, n int) float32", f.name+g.name+" returns "+f.doc+", all lanes starting at start; n is a multiple of 16.")
		x, n := g.param("x"), g.param("n")
		v := make([]reg.VecVirtual, lanes)
		for i := range v {
			v[i] = g.splat("start")
		}
		loop, end := g.label("loop"), g.label("loop")
		g.Label(loop)
		g.SUBQ(operand.Imm(16), n)
		g.JL(operand.LabelRef(end))
		for i := range v {
			f.take(operand.Mem{Base: x, Disp: i * g.bytes()}, v[i])
		}
		g.ADDQ(operand.Imm(64), x)
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
		if lanes == 2 {
			f.join(v[1], v[0], v[0])
		}
		low := g.joined(v[0], f.join)
		g.Store(low, g.ReturnIndex(0))
		g.VZEROUPPER()
		g.RET()
	}
}
