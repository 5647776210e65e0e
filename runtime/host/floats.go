package host

import (
	"math"

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
		vectors.WidenF16(dst, graph.ViewBytes[uint16](data)[at:][:len(dst)])
	case graph.BFloat16:
		vectors.WidenBF16(dst, graph.ViewBytes[uint16](data)[at:][:len(dst)])
	}
}

// storeFloats rounds src to dtype d, ties to even, and stores it from element
// at of data on.
func storeFloats(data []byte, d graph.DType, at int, src []float32) {
	switch d {
	case graph.Float32:
		copy(graph.ViewBytes[float32](data)[at:][:len(src)], src)
	case graph.Float16:
		vectors.NarrowF16(graph.ViewBytes[uint16](data)[at:][:len(src)], src)
	case graph.BFloat16:
		vectors.NarrowBF16(graph.ViewBytes[uint16](data)[at:][:len(src)], src)
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
		vectors.RoundF16(v)
	case graph.BFloat16:
		for i, x := range v {
			v[i] = math.Float32frombits(uint32(graph.F32ToBF16(x)) << 16)
		}
	}
}
