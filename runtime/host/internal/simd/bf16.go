package simd

import "math"

// Pairs of neighbouring bfloat16 numbers along k are kept as one float32, whose bits
// are theirs, the first one in the low half.

// MultipliesBF16 tells whether RowsBF16 is there.
func (l *Level) MultipliesBF16() bool { return l.tileBF16 != nil }

// RowsBF16 is Rows of pairs of bfloat16 numbers: k counts pairs. Products are exact,
// the two of a pair are added in float32 one after the other, and numbers too small to
// be normal count as zeros.
func (l *Level) RowsBF16(c, a, w Panel[float32], m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	c.holds(m, n)
	a.holds(m, k)
	w.holds(k, n)
	for j := 0; j < n; j += l.tileCols {
		for i := 0; i < m; i += l.tileRows {
			l.tileBF16(&c.At[i*c.Stride+j], c.Stride, &a.At[i*a.Stride], a.Stride, &w.At[j], w.Stride, min(l.tileRows, m-i), min(l.tileCols, n-j), k)
		}
	}
}

// Interleave stores pairs of numbers of two rows; high may be nothing, for zeros.
func (l *Level) Interleave(dst []float32, low, high []uint16) {
	if high == nil {
		for i, v := range low[:len(dst)] {
			dst[i] = math.Float32frombits(uint32(v))
		}
		return
	}
	low, high = low[:len(dst)], high[:len(dst)]
	i := 0
	if l.interleave != nil {
		if i = l.whole(len(dst)); i > 0 {
			l.interleave(&dst[0], &low[0], &high[0], i)
		}
	}
	for ; i < len(dst); i++ {
		dst[i] = math.Float32frombits(uint32(low[i]) | uint32(high[i])<<16)
	}
}
