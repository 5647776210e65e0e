package host

import (
	"math"
	"sync"

	"mnnconv/graph"
)

// Kernels compute in float32, meet narrower floats a stretch at a time, and
// round once where they store.

// isFloat reports whether loadFloats and storeFloats know the type.
func isFloat(d graph.DType) bool {
	return d == graph.Float32 || d == graph.Float16 || d == graph.BFloat16
}

// areFloats reports whether all values are tensors of such types; absent ones
// count.
func areFloats(values ...*graph.Value) bool {
	for _, v := range values {
		if v != nil && (v.Type.Kind != graph.TensorKind || !isFloat(v.Type.DType)) {
			return false
		}
	}
	return true
}

// loadFloats stores len(dst) elements of dtype d, from element at of data on,
// in dst; exact.
func loadFloats(dst []float32, d graph.DType, data []byte, at int) {
	switch d {
	case graph.Float32:
		copy(dst, graph.ViewBytes[float32](data)[at:][:len(dst)])
	case graph.Float16:
		widenF16(dst, graph.ViewBytes[uint16](data)[at:][:len(dst)])
	case graph.BFloat16:
		for i, v := range graph.ViewBytes[uint16](data)[at:][:len(dst)] {
			dst[i] = math.Float32frombits(uint32(v) << 16)
		}
	}
}

// storeFloats rounds src to dtype d, ties to even, and stores it from element
// at of data on.
func storeFloats(data []byte, d graph.DType, at int, src []float32) {
	switch d {
	case graph.Float32:
		copy(graph.ViewBytes[float32](data)[at:][:len(src)], src)
	case graph.Float16:
		narrowF16(graph.ViewBytes[uint16](data)[at:][:len(src)], src)
	case graph.BFloat16:
		dst := graph.ViewBytes[uint16](data)[at:][:len(src)]
		for i, x := range src {
			dst[i] = graph.F32ToBF16(x)
		}
	}
}

// floatsOf returns elements at to at+len(buf) of t to be read: where they lie if
// they are float32, else widened into buf.
func floatsOf(t *graph.Tensor, at int, buf []float32) []float32 {
	if t.DType == graph.Float32 {
		return graph.View[float32](t)[at:][:len(buf)]
	}
	loadFloats(buf, t.DType, t.Data, at)
	return buf
}

// floatsFor returns where to compute elements at to at+len(buf) of t: where they
// lie if they are float32, else buf. They count once they are put.
func floatsFor(t *graph.Tensor, at int, buf []float32) []float32 {
	if t.DType == graph.Float32 {
		return graph.View[float32](t)[at:][:len(buf)]
	}
	return buf
}

// putFloats stores what was computed where floatsFor said.
func putFloats(t *graph.Tensor, at int, v []float32) {
	if t.DType != graph.Float32 {
		storeFloats(t.Data, t.DType, at, v)
	}
}

// roundFloats rounds v to the numbers of dtype d.
func roundFloats(d graph.DType, v []float32) {
	switch d {
	case graph.Float16:
		for i, x := range v {
			if b := math.Float32bits(x); normalF16(b) {
				v[i] = math.Float32frombits((b + 0xfff + b>>13&1) &^ 0x1fff)
			} else {
				v[i] = graph.F16ToF32(graph.F32ToF16(x))
			}
		}
	case graph.BFloat16:
		for i, x := range v {
			v[i] = math.Float32frombits(uint32(graph.F32ToBF16(x)) << 16)
		}
	}
}

// widenF16 is graph.F16ToF32 of each number, looked up: a third of the time of
// computing it, since the numbers at hand have few of the exponents and their
// part of the table stays cached.
func widenF16(dst []float32, src []uint16) {
	table, src := halves(), src[:len(dst)]
	for i, h := range src {
		dst[i] = table[h]
	}
}

// halves returns the value of every float16.
var halves = sync.OnceValue(func() *[1 << 16]float32 {
	t := new([1 << 16]float32)
	for h := range t {
		t[h] = graph.F16ToF32(uint16(h))
	}
	return t
})

// narrowF16 is graph.F32ToF16, without a call for what becomes a normal number.
func narrowF16(dst []uint16, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		b := math.Float32bits(src[i])
		if normalF16(b) {
			m := b&0x7fffffff + 0xfff + b>>13&1 // to nearest, ties to even
			dst[i] = uint16(b>>16&0x8000 | (m-112<<23)>>13)
		} else {
			dst[i] = graph.F32ToF16(src[i])
		}
	}
}

// normalF16 reports whether the float32 with these bits rounds to a normal
// float16 number.
func normalF16(b uint32) bool { return b&0x7fffffff-0x38800000 < 0x477ff000-0x38800000 }
