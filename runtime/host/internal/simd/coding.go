package simd

import "math"

// Weights are given codes by blocks of a row, whose numbers share a scale. A block is
// a multiple of 16 numbers here. All levels give the same bits: errors are summed in
// 16 lanes, those of a number's index, as Sum does it.

// Extremes stores the least and the greatest number of each block, at most and at
// least 0. There are as many blocks as least has numbers.
func (l *Level) Extremes(least, most, w []float32, block int) {
	if len(least) == 0 {
		return
	}
	most, w = most[:len(least)], w[:len(least)*block]
	if l.lanes > 0 {
		l.extremes(&least[0], &most[0], &w[0], block, len(least))
		return
	}
	for b := range least {
		var lo, hi float32
		for _, x := range w[b*block:][:block] {
			if x < lo {
				lo = x
			}
			if x > hi {
				hi = x
			}
		}
		least[b], most[b] = lo, hi
	}
}

// Codes stores for each number the code nearest to it, of 0 to top: code n of block b
// stands for (n - zero[b])·scale[b]. It returns the sum of the squared errors and the
// largest error. There are as many blocks as scale has numbers, and inverse has what
// is one over them.
func (l *Level) Codes(q []uint8, w, scale, inverse, zero []float32, top, block int) (sum, largest float32) {
	if len(scale) == 0 {
		return 0, 0
	}
	n := len(scale) * block
	q, w, inverse, zero = q[:n], w[:n], inverse[:len(scale)], zero[:len(scale)]
	if l.lanes > 0 {
		return l.codes(&q[0], &w[0], &scale[0], &inverse[0], &zero[0], top, block, len(scale))
	}
	var sums [16]float32
	bits := uint32(0)
	for b, s := range scale {
		z := zero[b]
		start := z + 0.5
		for i := b * block; i < (b+1)*block; i++ {
			c := max(0, min(int32(top), int32(float32(w[i]*inverse[b])+start)))
			q[i] = uint8(c)
			d := float32((float32(c)-z)*s) - w[i]
			sums[i%16] += float32(d * d)
			bits = max(bits, math.Float32bits(d)&^(1<<31))
		}
	}
	return join(&sums), math.Float32frombits(bits)
}

// Nibbles stores pairs of codes of 4 bits as bytes, the first of a pair in the low
// half.
func (l *Level) Nibbles(dst, q []uint8) {
	q = q[:2*len(dst)]
	done := 0
	if n := len(dst) &^ 15; l.lanes > 0 && n > 0 {
		l.nibbles(&dst[0], &q[0], n)
		done = n
	}
	for i := done; i < len(dst); i++ {
		dst[i] = q[2*i] | q[2*i+1]<<4
	}
}
