package simd

import (
	"math"
	"sync"

	"mnnconv/graph"
)

// WidenF16 stores float16 numbers as float32; exact.
func (l *Level) WidenF16(dst []float32, src []uint16) {
	src = src[:len(dst)]
	done := 0
	if n := l.whole(len(dst)); n > 0 {
		l.widenF16(&dst[0], &src[0], n)
		done = n
	}
	table := halves()
	dst = dst[done:]
	for i, h := range src[done:] {
		dst[i] = table[h]
	}
}

// whole returns how many of n numbers are whole vectors.
func (l *Level) whole(n int) int {
	if l.lanes == 0 {
		return 0
	}
	return n - n%l.lanes
}

// halves returns the value of every float16: looking it up takes a third of the
// time of computing it.
var halves = sync.OnceValue(func() *[1 << 16]float32 {
	t := new([1 << 16]float32)
	for h := range t {
		t[h] = graph.F16ToF32(uint16(h))
	}
	return t
})

// WidenBF16 stores bfloat16 numbers as float32; exact.
func (l *Level) WidenBF16(dst []float32, src []uint16) {
	src = src[:len(dst)]
	done := 0
	if n := l.whole(len(dst)); n > 0 {
		l.widenBF16(&dst[0], &src[0], n)
		done = n
	}
	dst = dst[done:]
	for i, h := range src[done:] {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}

// NarrowF16 rounds numbers to float16, ties to even.
func (l *Level) NarrowF16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	done := 0
	if n := l.whole(len(src)); n > 0 {
		l.narrowF16(&dst[0], &src[0], n)
		done = n
	}
	dst = dst[done:]
	for i, x := range src[done:] {
		if b := math.Float32bits(x); normalF16(b) {
			m := b&0x7fffffff + 0xfff + b>>13&1
			dst[i] = uint16(b>>16&0x8000 | (m-112<<23)>>13)
		} else {
			dst[i] = graph.F32ToF16(x)
		}
	}
}

// normalF16 reports whether the float32 with these bits rounds to a normal float16
// number.
func normalF16(b uint32) bool { return b&0x7fffffff-0x38800000 < 0x477ff000-0x38800000 }

// NarrowBF16 rounds numbers to bfloat16, ties to even.
func (l *Level) NarrowBF16(dst []uint16, src []float32) {
	dst = dst[:len(src)]
	done := 0
	if n := l.whole(len(src)); n > 0 {
		l.narrowBF16(&dst[0], &src[0], n)
		done = n
	}
	dst = dst[done:]
	for i, x := range src[done:] {
		dst[i] = graph.F32ToBF16(x)
	}
}

// RoundF16 rounds numbers to those of float16, ties to even.
func (l *Level) RoundF16(v []float32) {
	if n := l.whole(len(v)); n > 0 {
		l.roundF16(&v[0], n)
		v = v[n:]
	}
	for i, x := range v {
		if b := math.Float32bits(x); normalF16(b) {
			v[i] = math.Float32frombits((b + 0xfff + b>>13&1) &^ 0x1fff)
		} else {
			v[i] = graph.F16ToF32(graph.F32ToF16(x))
		}
	}
}
