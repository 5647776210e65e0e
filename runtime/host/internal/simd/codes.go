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

const (
	digitNumbers = 64 // of a row in one record of digits
	digitRecord  = 52 // numbers that a record takes the place of
	mostDigits   = 127 << 16
)

// DotsI8 is Dots with codes w. Where the processor multiplies integers, and rows are
// multiples of 64 long, numbers of a are taken as integers of 24 bits by their row's
// largest, which loses less than sums in float32 do. buf holds them: at least 52 numbers
// for every 64 of a row.
func (l *Level) DotsI8(c, a Panel[float32], w Panel[int8], m, k, n int, buf []float32) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	records := k / digitNumbers
	if l.digits == nil || k%digitNumbers != 0 {
		dots(l.dotI8, c, a, w, m, k, n)
		return
	}
	c.holds(m, n)
	a.holds(m, k)
	w.holds(n, k)
	most := len(buf) / (records * digitRecord)
	for from := 0; from < m; from += most {
		rows := min(most, m-from)
		for i := range rows {
			x := a.Row(from+i, k)
			top := l.Magnitude(x)
			by := mostDigits / top
			if !(top > 0x1p-90 && top < 0x1p90) { // its integers would not tell it
				dots(l.dotI8, c.From(from+i, 0), a.From(from+i, 0), w, 1, k, n)
				top, by = 0, 0
			}
			for r := range records {
				l.digits(&buf[(r*rows+i)*digitRecord], &x[r*digitNumbers], by, top/mostDigits)
			}
		}
		for r := range records {
			l.dotDigits(&c.At[from*c.Stride], c.Stride, &buf[r*rows*digitRecord], &w.At[r*digitNumbers], w.Stride, rows, n)
		}
	}
}
