package compare

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
)

// Figures say how far a tensor lies from what it should be. Pairs of which one is
// no finite number count as NaN or Inf and in nothing else.
type Figures struct {
	Max      float64 `json:"max"`      // the largest difference
	Mean     float64 `json:"mean"`     // of the differences' magnitudes
	Relative float64 `json:"relative"` // Max by the largest magnitude expected
	Cosine   float64 `json:"cosine"`   // of both as vectors; 1 where both are 0
	ULP      float64 `json:"ulp"`      // the largest difference in units in the last place
	NaN      int     `json:"nan"`      // elements that are NaN, and should not be or the other way about
	Inf      int     `json:"inf"`      // likewise
}

// measured are the figures of two tensors of one shape, with what judging needs.
type measured struct {
	Figures
	equal bool    // bit for bit
	scale float64 // the largest magnitude expected
}

// measure compares a tensor with what it should be. Another dtype or shape is an
// error.
func measure(got, want *graph.Tensor) (measured, error) {
	m := measured{Figures: Figures{Cosine: 1}}
	if got.Kind != want.Kind || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		return m, fmt.Errorf("%w: it is %s, expected %s", graph.ErrType, got.Type(), want.Type())
	}
	if m.equal = bytes.Equal(got.Data, want.Data) && slices.Equal(got.Strings, want.Strings); got.DType == graph.String {
		return m, nil
	}
	a, err := got.Float64s()
	if err != nil {
		return m, err
	}
	b, err := want.Float64s()
	if err != nil {
		return m, err
	}
	step := spacing(want.DType)
	var ab, aa, bb float64
	for i, x := range a {
		y := b[i]
		if unlike(x, y, math.IsNaN) {
			m.NaN++
		}
		if unlike(x, y, func(v float64) bool { return math.IsInf(v, 0) }) || math.IsInf(x, 1) && math.IsInf(y, -1) || math.IsInf(x, -1) && math.IsInf(y, 1) {
			m.Inf++
		}
		if !finite(x) || !finite(y) {
			continue
		}
		d := math.Abs(x - y)
		m.Max, m.Mean = max(m.Max, d), m.Mean+d/float64(len(a))
		m.scale = max(m.scale, math.Abs(y))
		if d > 0 {
			m.ULP = max(m.ULP, d/step(y))
		}
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if m.scale > 0 {
		m.Relative = m.Max / m.scale
	}
	if m.Max > 0 && aa > 0 && bb > 0 {
		m.Cosine = min(1, ab/math.Sqrt(aa)/math.Sqrt(bb))
	} else if (aa == 0) != (bb == 0) {
		m.Cosine = 0
	}
	return m, nil
}

func unlike(x, y float64, is func(float64) bool) bool { return is(x) != is(y) }

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// mantissa is the number of bits of a float dtype's significand, the first one
// included, and the exponent of its smallest normal number; 0: another dtype.
func mantissa(d graph.DType) (bits, least int) {
	switch d {
	case graph.Float64:
		return 53, -1022
	case graph.Float32:
		return 24, -126
	case graph.Float16:
		return 11, -14
	case graph.BFloat16:
		return 8, -126
	}
	return 0, 0
}

// spacing returns the distance between neighbours of a dtype near a number.
func spacing(d graph.DType) func(float64) float64 {
	bits, least := mantissa(d)
	if bits == 0 {
		return func(float64) float64 { return 1 }
	}
	return func(x float64) float64 {
		_, e := math.Frexp(x) // |x| in [2^(e-1), 2^e)
		if x == 0 {
			e = least
		}
		return math.Ldexp(1, max(e-1, least)-bits+1)
	}
}
