package host

import "mnnconv/graph"

// cast is ONNX Cast between float types, and of int32 and int64 to float32 and
// float16: each number becomes the nearest one, ties to even.
type cast struct {
	x, y *graph.Tensor
	cut  cut
}

// lowerCast covers those.
func lowerCast(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Cast") || !areFloats(n.Outputs[0]) {
		return Group{}, false
	}
	// Integers that float32 has to round are too large for float16, but not for bfloat16.
	whole := isIndex(n.Inputs[0]) && n.Outputs[0].Type.DType != graph.BFloat16
	if !whole && !areFloats(n.Inputs[0]) {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[cast](c)
		*k = cast{x: c.In[0], y: c.Out[0], cut: cutBy(c.Out[0].Len(), 1)}
		return c.Run(k.cut.parts(), k)
	}
	return g, true
}

// Part implements [Parts].
func (k *cast) Part(w *Worker, i int) {
	buf := w.Floats(lane)
	from, to := k.cut.part(i)
	for at := from; at < to; at += lane {
		x := buf[:min(lane, to-at)]
		switch k.x.DType {
		case graph.Int32:
			widenInts(x, graph.View[int32](k.x)[at:])
		case graph.Int64:
			widenInts(x, graph.View[int64](k.x)[at:])
		default:
			x = floatsOf(k.x, at, x)
		}
		storeFloats(k.y.Data, k.y.DType, at, x)
	}
}

func widenInts[T int32 | int64](y []float32, x []T) {
	for i := range y {
		y[i] = float32(x[i])
	}
}
