package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// level is a set of vector instructions.
type level struct {
	name, file string
	floats     int // in a vector
	rows       int // of a tile, which is two vectors wide
}

var (
	avx512 = level{"AVX512", "avx512", 16, 12}
	avx2   = level{"AVX2", "avx2", 8, 6}
)

// gen writes the kernels of one level into one file.
type gen struct {
	*build.Context
	level
	labels int
	data   map[string]operand.Mem
}

// function starts a function, whose name ends in that of the level.
func (g *gen) function(name, signature string, doc ...string) {
	g.start(name+g.name, signature, doc...)
}

// start starts a function of that name.
func (g *gen) start(name, signature string, doc ...string) {
	g.Function(name)
	g.Attributes(attr.NOSPLIT)
	g.Pragma("noescape")
	g.SignatureExpr("func" + signature)
	g.Doc(doc...)
}

// vec returns a vector register.
func (g *gen) vec() reg.VecVirtual {
	if g.floats == 16 {
		return g.ZMM()
	}
	return g.YMM()
}

func (g *gen) vecs(n int) []reg.VecVirtual {
	v := make([]reg.VecVirtual, n)
	for i := range v {
		v[i] = g.vec()
	}
	return v
}

// half returns the lower half of a vector register.
func (g *gen) half(v reg.VecVirtual) reg.Register {
	if g.floats == 16 {
		return v.AsY()
	}
	return v.AsX()
}

// bytes is the size of a vector.
func (g *gen) bytes() int { return 4 * g.floats }

// label returns a new one.
func (g *gen) label(what string) string {
	g.labels++
	return fmt.Sprintf("%s%d", what, g.labels)
}

// byRows branches on parameter m: to code for one, two or four rows.
func (g *gen) byRows(one, two, four func()) {
	m := g.param("m")
	g.CMPQ(m, operand.Imm(4))
	g.JE(operand.LabelRef("rows4"))
	g.CMPQ(m, operand.Imm(2))
	g.JE(operand.LabelRef("rows2"))
	one()
	g.Label("rows2")
	two()
	g.Label("rows4")
	four()
}

// param loads a parameter.
func (g *gen) param(name string) reg.GPVirtual {
	return g.Load(g.Param(name), g.GP64()).(reg.GPVirtual)
}

// memory returns where a parameter lies.
func (g *gen) memory(name string) operand.Mem {
	p, err := g.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// strides loads parameters that are strides in numbers, and makes them bytes.
func (g *gen) stride(name string, size int) reg.GPVirtual {
	r := g.param(name)
	if size > 1 {
		g.SHLQ(operand.Imm(map[int]uint64{2: 1, 4: 2}[size]), r)
	}
	return r
}

// copyOf returns a register with the same content.
func (g *gen) copyOf(r reg.GPVirtual) reg.GPVirtual {
	c := g.GP64()
	g.MOVQ(r, c)
	return c
}

// rows addresses rows of a matrix, three by each base register.
type rows struct {
	bases  []reg.GPVirtual
	stride reg.GPVirtual
}

// rowsAt makes addresses of n rows.
func (g *gen) rowsAt(at, stride reg.GPVirtual, n int) rows {
	r := rows{stride: stride}
	for i := 0; i < n; i += 3 {
		base := g.GP64()
		if i == 0 {
			g.MOVQ(at, base)
		} else {
			last := r.bases[len(r.bases)-1]
			g.LEAQ(operand.Mem{Base: last, Index: stride, Scale: 2}, base)
			g.ADDQ(stride, base)
		}
		r.bases = append(r.bases, base)
	}
	return r
}

// row returns the address of row i, disp bytes on.
func (r rows) row(i, disp int) operand.Mem {
	m := operand.Mem{Base: r.bases[i/3], Disp: disp}
	if i%3 > 0 {
		m.Index, m.Scale = r.stride, uint8(i%3)
	}
	return m
}

// advance moves all rows by a number of bytes.
func (g *gen) advance(r rows, bytes int) {
	for _, b := range r.bases {
		g.ADDQ(operand.I32(bytes), b)
	}
}

// sum adds the lanes of n ≤ 4 vectors, always in the same order, and leaves the
// sums in the low lanes of a 128-bit register.
func (g *gen) sum(v []reg.VecVirtual) reg.Register {
	y := make([]reg.Register, 4)
	for i := range y {
		from := v[i%len(v)]
		if i >= len(v) {
			y[i] = y[i%len(v)]
			continue
		}
		if g.floats == 16 {
			high := g.YMM()
			g.VEXTRACTF64X4(operand.Imm(1), from, high)
			g.VADDPS(high, from.AsY(), high)
			y[i] = high
		} else {
			y[i] = from
		}
	}
	pair := func(a, b reg.Register) reg.Register { // lanes 0 and 2, 1 and 3 of a, b, a, b
		l, h := g.YMM(), g.YMM()
		g.VUNPCKLPS(b, a, l)
		g.VUNPCKHPS(b, a, h)
		g.VADDPS(h, l, l)
		return l
	}
	a := pair(y[0], y[1])
	b := a
	if len(v) > 2 {
		b = pair(y[2], y[3])
	}
	l, h := g.YMM(), g.YMM()
	g.VUNPCKLPD(b, a, l)
	g.VUNPCKHPD(b, a, h)
	g.VADDPS(h, l, l)
	high := g.upper(l)
	g.VADDPS(high, l.AsX(), high)
	return high
}

// upper returns the upper half of a register of 256 bits.
func (g *gen) upper(y reg.VecVirtual) reg.VecVirtual {
	x := g.XMM()
	if g.floats == 16 {
		g.VEXTRACTF32X4(operand.Imm(1), y, x)
	} else {
		g.VEXTRACTF128(operand.Imm(1), y, x)
	}
	return x
}

// tail returns a mask of the first n lanes, n < 16.
func (g *gen) tail(n reg.GPVirtual) reg.OpmaskVirtual {
	ones, mask := g.GP64(), g.K()
	g.MOVQ(operand.I32(-1), ones)
	bits := g.GP64()
	g.BZHIQ(n, ones, bits)
	g.KMOVW(bits.As32(), mask)
	return mask
}
