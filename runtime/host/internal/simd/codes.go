package simd

import "math"

// A vector of numbers is kept as codes of 8 bits and one scale, which codes times the
// scale are; the scale that Magnitude suggests is a 127th of the largest one.

// Magnitude returns the largest magnitude of x, 0 if there are no numbers; and what is
// not a number where x has one.
func (l *Level) Magnitude(x []float32) float32 {
	largest, n := uint32(0), 0
	if l.lanes > 0 && len(x) >= 16 {
		n = len(x) &^ 15
		largest = math.Float32bits(l.magnitude(&x[0], 0, n)) >> 1
	}
	for _, v := range x[n:] {
		largest = max(largest, math.Float32bits(v)&^(1<<31))
	}
	return math.Float32frombits(largest)
}

// NarrowI8 stores the code of each number that scale stands for: the nearest to the
// quotient, ties to even, from -128 to 127; 0 for what is not a number.
func (l *Level) NarrowI8(dst []int8, src []float32, scale float32) {
	dst = dst[:len(src)]
	done := l.whole(len(src))
	if done > 0 {
		l.narrowI8(&dst[0], &src[0], scale, done)
	}
	for i, x := range src[done:] {
		q := x / scale
		if q != q {
			q = 0
		}
		dst[done+i] = int8(math.RoundToEven(float64(min(max(q, -128), 127))))
	}
}

// WidenI8 stores codes as numbers.
func (l *Level) WidenI8(dst []float32, src []int8) {
	src = src[:len(dst)]
	done := l.whole(len(dst))
	if done > 0 {
		l.widenI8(&dst[0], &src[0], done)
	}
	for i, c := range src[done:] {
		dst[done+i] = float32(c)
	}
}
