package op

import (
	"math"
	"sort"

	"mnnconv/graph"
)

// smallFloat rounds to one of ONNX's 8- or 4-bit floats, to nearest with ties
// to even, as "Casting to float8" in the description of Cast says.
type smallFloat struct {
	values   []float32 // of the codes without sign that are finite, ascending
	sign     uint8     // sign bit of a code
	nan, inf uint8     // codes of NaN and of what overflows without saturation
	zero     bool      // there is only one zero: its negative is the NaN
}

// newSmallFloat returns the rounding to d, which is not Float8E8M0.
func newSmallFloat(d graph.DType) (smallFloat, bool) {
	f := smallFloat{sign: 0x80}
	codes := make([]byte, 128)
	for i := range codes {
		codes[i] = byte(i)
	}
	switch d {
	case graph.Float8E4M3FN:
		codes, f.nan, f.inf = codes[:0x7f], 0x7f, 0x7f
	case graph.Float8E5M2:
		codes, f.nan, f.inf = codes[:0x7c], 0x7f, 0x7c
	case graph.Float8E4M3UZ, graph.Float8E5M2UZ:
		f.nan, f.inf, f.zero = 0x80, 0x80, true
	case graph.Float4E2M1: // no infinity, which becomes the largest, and no NaN, which becomes -0 as in ONNX's conformance data
		f.values, f.sign, f.nan, f.inf = []float32{0, 0.5, 1, 1.5, 2, 3, 4, 6}, 8, 8, 7
		return f, true
	default:
		return f, false
	}
	f.values = make([]float32, len(codes))
	for i, c := range codes {
		f.values[i] = graph.F8ToF32(d, c)
	}
	return f, true
}

// code returns the code of v. What rounds beyond the largest number becomes
// that with saturate, else infinity or NaN.
func (f smallFloat) code(v float32, saturate bool) uint8 {
	if v != v {
		return f.nan
	}
	sign := uint8(0)
	if math.Signbit(float64(v)) {
		sign, v = f.sign, -v
	}
	last := len(f.values) - 1
	top := f.values[last]
	c := sort.Search(last, func(i int) bool { return f.values[i+1] > v }) // the largest value not above v
	switch {
	case c < last:
		if low, high := v-f.values[c], f.values[c+1]-v; high < low || high == low && c%2 == 1 {
			c++
		}
	case v > top && !saturate:
		// Past the top the numbers would go on at the same distance.
		if half := (top - f.values[last-1]) / 2; v-top > half || v-top == half && last%2 == 1 {
			if f.inf == f.nan && f.zero {
				return f.nan
			}
			return sign | f.inf
		}
	}
	if c == 0 && f.zero {
		return 0
	}
	return sign | uint8(c)
}
