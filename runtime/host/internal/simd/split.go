package simd

import (
	"math"

	"mnnconv/graph"
)

// Parts is a matrix of float32 numbers, each as the sum of bfloat16 numbers: pairs as
// RowsBF16 takes them, in as many matrices as there are parts, Apart numbers from each
// other. Three parts have all bits of a number, two those of one that has sixteen.
type Parts struct {
	Panel[float32]
	Apart, Count int
}

// Part returns n pairs of part p of row i.
func (m *Parts) Part(p, i, n int) []float32 { return m.At[p*m.Apart+i*m.Stride:][:n] }

// Split stores x, a row of the left side, as all three parts of row i. A last number
// alone has a zero beside it. What is no finite number, or is none as bfloat16, has
// parts of which some is none.
func (l *Level) Split(m *Parts, i int, x []float32) {
	n := (len(x) + 1) / 2
	if n == 0 {
		return
	}
	d := [3][]float32{m.Part(0, i, n), m.Part(1, i, n), m.Part(2, i, n)}
	whole := 0
	if l.splitRow != nil {
		if whole = l.whole(len(x)); whole > 0 {
			l.splitRow(&d[0][0], &d[1][0], &d[2][0], &x[0], whole)
		}
	}
	for j := whole; j < len(x); j += 2 {
		low, high := parts(x[j]), [3]uint32{}
		if j+1 < len(x) {
			high = parts(x[j+1])
		}
		for p := range d {
			d[p][j/2] = math.Float32frombits(low[p]>>16 | high[p])
		}
	}
}

// SplitPairs stores two rows of the right side, of which high may be nothing, for
// zeros, as all three parts of row i.
func (l *Level) SplitPairs(m *Parts, i int, low, high []float32) {
	n := len(low)
	if n == 0 {
		return
	}
	d0, d1, d2 := m.Part(0, i, n), m.Part(1, i, n), m.Part(2, i, n)
	whole := 0
	if l.splitPairs != nil && high != nil {
		if whole = l.whole(n); whole > 0 {
			_ = high[n-1]
			l.splitPairs(&d0[0], &d1[0], &d2[0], &low[0], &high[0], whole)
		}
	}
	for j := whole; j < n; j++ {
		a := parts(low[j])
		var b [3]uint32
		if high != nil {
			b = parts(high[j])
		}
		d0[j], d1[j], d2[j] = math.Float32frombits(a[0]>>16|b[0]), math.Float32frombits(a[1]>>16|b[1]), math.Float32frombits(a[2]>>16|b[2])
	}
}

// SplitHalves stores k rows of n float16 numbers of the right side, n at most 32, as
// parts 0 and 1 of the rows of pairs, which have all their bits. A last row alone has
// zeros beside it. What is no finite number has parts of which some is none.
func (l *Level) SplitHalves(m *Parts, w Panel[uint16], k, n int) {
	if k == 0 || n == 0 {
		return
	}
	w.holds(k, n)
	whole := 0
	if l.splitHalves != nil && n <= l.tileCols {
		if whole = k / 2; whole > 0 {
			_ = m.Part(1, whole-1, n)
			l.splitHalves(&m.At[0], &m.At[m.Apart], m.Stride, &w.At[0], w.Stride, whole, n)
		}
	}
	for q := whole; 2*q < k; q++ {
		d0, d1 := m.Part(0, q, n), m.Part(1, q, n)
		var high []uint16
		if 2*q+1 < k {
			high = w.Row(2*q+1, n)
		}
		for j, h := range w.Row(2*q, n) {
			a := halfParts(h)
			var b [2]uint32
			if high != nil {
				b = halfParts(high[j])
			}
			d0[j], d1[j] = math.Float32frombits(a[0]>>16|b[0]), math.Float32frombits(a[1]>>16|b[1])
		}
	}
}

// halfParts returns the bits of the parts of a float16 number.
func halfParts(h uint16) [2]uint32 {
	p := parts(graph.F16ToF32(h))
	return [2]uint32{p[0], p[1]}
}

// parts returns the bits of the parts of x.
func parts(x float32) (h [3]uint32) {
	const half, mask = 0x8000, 0xffff0000
	for i := range 2 {
		h[i] = (math.Float32bits(x) + half) & mask
		x -= math.Float32frombits(h[i])
	}
	h[2] = math.Float32bits(x) & mask
	return h
}

// RowsParts is Rows of parts: k counts pairs. The products of parts that matter beside
// float32's rounding are summed as RowsBF16 does. There are such sums where HasTiles
// says so.
func (l *Level) RowsParts(c Panel[float32], a, w *Parts, m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	c.holds(m, n)
	_, _ = a.Part(a.Count-1, m-1, k), w.Part(w.Count-1, k-1, n)
	terms := [7]term{{-1, -1}}
	count := 1
	for p := a.Count - 1; p >= 0; p-- { // neighbours share a factor, but for two
		for i := range min(w.Count, 3-p) {
			q := i
			if p == 0 {
				q = w.Count - 1 - i
			}
			terms[count] = term{4 * p * a.Apart, 4 * q * w.Apart}
			count++
		}
	}
	rowsAMX(c, a.Panel, w.Panel, terms[:count], m, k, n)
}
