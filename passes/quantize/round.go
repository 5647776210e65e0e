package quantize

import (
	"math"

	"mnnconv/graph"
)

// grid is what the codes of a block stand for: code q is (q - zero)·scale.
type grid struct {
	scale float32
	zero  uint8
}

// coding is a format with what follows from it.
type coding struct {
	bits int
	top  float32 // the largest code
	asym bool
	// short scales are codes of 8 bits, of which factor, that of the row, is the step.
	short  bool
	factor float32
}

func newCoding(f Format) coding {
	return coding{bits: f.bits(), top: float32(int(1)<<f.bits() - 1), asym: f.Asym, short: f.Scales == 8}
}

// middle is the zero point of blocks that store none.
func (c coding) middle() uint8 { return 1 << (c.bits - 1) }

// asStored rounds a scale to one that can be stored: to float16, or to a multiple of the
// row's factor.
func (c coding) asStored(s float32) float32 {
	if c.short {
		return float32(c.scaleCode(s)) * c.factor
	}
	return graph.F16ToF32(graph.F32ToF16(s))
}

// round gives a block the grid that reaches its extremes. Without zero points the
// largest number, with its sign, becomes code 0, which has no opposite: so all
// codes are used (the way of ggml's Q4_0 and of onnxruntime).
func (c coding) round(w []float32) grid {
	least, most := extremes(w)
	s := c.asStored(c.reach(least, most))
	return grid{s, c.zero(s, least)}
}

// reach is the scale of codes that reach from least ≤ 0 to most ≥ 0, before it is
// rounded to what is stored.
func (c coding) reach(least, most float32) float32 {
	switch {
	case c.asym:
		return (most - least) / c.top
	case -least >= most:
		return -least / float32(c.middle())
	}
	return -most / float32(c.middle())
}

// zero is the zero point of codes that start at least.
func (c coding) zero(scale, least float32) uint8 {
	switch {
	case !c.asym:
		return c.middle()
	case scale == 0 || scale != scale || math.IsInf(float64(scale), 0):
		return 0
	}
	return uint8(min(c.top, float32(math.Round(float64(-least/scale)))))
}

// extremes returns the least and the greatest number, at most and at least 0.
func extremes(w []float32) (least, most float32) {
	var lo, hi int32
	for _, x := range w {
		i := int32(math.Float32bits(x))
		i ^= i >> 31 & math.MaxInt32 // orders as the numbers do
		lo, hi = min(lo, i), max(hi, i)
	}
	lo ^= lo >> 31 & math.MaxInt32
	return math.Float32frombits(uint32(lo)), math.Float32frombits(uint32(hi))
}

// inverse is one over a scale; that of 0 makes all codes the zero point.
func inverse(scale float32) float32 {
	if scale == 0 {
		return 0
	}
	return 1 / scale
}

// codes stores the code of each number that is nearest on the grid, and returns
// the sum of the squared errors and the largest error.
func (c coding) codes(q []uint8, w []float32, g grid) (sum, largest float32) {
	q = q[:len(w)]
	inverse := inverse(g.scale)
	start, zero, top := float32(g.zero)+0.5, float32(g.zero), int32(c.top)
	var s0, s1, s2, s3 float32
	most := uint32(0)
	i := 0
	for ; i+4 <= len(w); i += 4 {
		x, o := (*[4]float32)(w[i:]), (*[4]uint8)(q[i:])
		n0 := max(0, min(top, int32(float32(x[0]*inverse)+start)))
		n1 := max(0, min(top, int32(float32(x[1]*inverse)+start)))
		n2 := max(0, min(top, int32(float32(x[2]*inverse)+start)))
		n3 := max(0, min(top, int32(float32(x[3]*inverse)+start)))
		o[0], o[1], o[2], o[3] = uint8(n0), uint8(n1), uint8(n2), uint8(n3)
		d0 := float32((float32(n0)-zero)*g.scale) - x[0]
		d1 := float32((float32(n1)-zero)*g.scale) - x[1]
		d2 := float32((float32(n2)-zero)*g.scale) - x[2]
		d3 := float32((float32(n3)-zero)*g.scale) - x[3]
		s0 += float32(d0 * d0)
		s1 += float32(d1 * d1)
		s2 += float32(d2 * d2)
		s3 += float32(d3 * d3)
		most = max(most, math.Float32bits(d0)<<1, math.Float32bits(d1)<<1, math.Float32bits(d2)<<1, math.Float32bits(d3)<<1)
	}
	for ; i < len(w); i++ {
		n := max(0, min(top, int32(float32(w[i]*inverse)+start)))
		q[i] = uint8(n)
		d := float32((float32(n)-zero)*g.scale) - w[i]
		s0 += float32(d * d)
		most = max(most, math.Float32bits(d)<<1)
	}
	return s0 + s1 + (s2 + s3), math.Float32frombits(most >> 1)
}

// loss is the sum of the squared errors of a block, each times its weight, and the
// largest error.
func loss(q []uint8, w, weight []float32, g grid) (sum, largest float32) {
	q = q[:len(w)]
	zero, most := float32(g.zero), uint32(0)
	for i, x := range w {
		d := float32((float32(q[i])-zero)*g.scale) - x
		e := float32(d * d)
		if weight != nil {
			e = float32(e * weight[i])
		}
		sum += e
		most = max(most, math.Float32bits(d)<<1)
	}
	return sum, math.Float32frombits(most >> 1)
}
