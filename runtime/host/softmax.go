package host

import (
	"math"

	"mnnconv/graph"
)

// softmax is ONNX Softmax along the last axis.
type softmax struct {
	x, y  *graph.Tensor
	width int
	rows  cut
}

// lowerSoftmax covers Softmax of rows.
func lowerSoftmax(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Softmax") || !areFloats(n.In(0)) || n.Inputs[0].Type.Shape == nil {
		return Group{}, false
	}
	axis, last := n.Int("axis", -1), int64(len(n.Inputs[0].Type.Shape)-1)
	if n.Version < 13 {
		axis = n.Int("axis", 1)
	}
	if last < 0 || axis != -1 && axis != last {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[softmax](c)
		*k = softmax{x: c.In[0], y: c.Out[0]}
		k.width, k.rows = rowsOf(k.x, 4)
		return c.Run(k.rows.parts(), k)
	}
	return g, true
}

// Part implements [Parts].
func (k *softmax) Part(w *Worker, i int) {
	buf := w.Floats(k.width)
	from, to := k.rows.part(i)
	for r := from; r < to; r++ {
		y := floatsFor(k.y, r*k.width, buf)
		loadFloats(y, k.x.DType, k.x.Data, r*k.width)
		largest := float32(math.Inf(-1))
		largest = vectors.Largest(y, largest)
		scale(y, 1/vectors.ExpShifted(y, largest))
		putFloats(k.y, r*k.width, y)
	}
}
