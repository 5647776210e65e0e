package host

import (
	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
)

// keptVectors are keys or values: floats, or codes of 8 bits in vectors that lie close
// together, each with a scale.
type keptVectors struct {
	*graph.Tensor
	scales []float32 // of codes
}

// vectors returns n vectors, from element at on and step elements apart, as float32:
// where they lie close together as such, else in buf.
func (t keptVectors) vectors(at, step, n, size int, buf []float32) panel {
	if t.DType == graph.Float32 && step == size {
		return panelOf(graph.View[float32](t.Tensor)[at:], size)
	}
	for i := range n {
		row := buf[i*size:][:size]
		if t.DType != graph.Int8 {
			loadFloats(row, t.DType, t.Data, at+i*step)
			continue
		}
		vectors.WidenI8(row, graph.View[int8](t.Tensor)[at+i*step:])
		vectors.Scale(row, row, t.scales[at/size+i])
	}
	return panelOf(buf, size)
}

// codes returns vectors of codes from element at on, and scales from theirs on.
func (t keptVectors) codes(at, size int) (simd.Panel[int8], []float32) {
	at = min(at, t.Len())
	return simd.Panel[int8]{At: graph.View[int8](t.Tensor)[at:], Stride: size}, t.scales[at/size:]
}
