package gpu

import "mnnconv/graph"

// lowerRMSNorm covers RMSNormalization of rows with a scale as wide as they are.
func lowerRMSNorm(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("RMSNormalization") || !anyFloats(n.In(0), n.In(1)) || !overLastAxis(n) {
		return Group{}, false
	}
	epsilon := n.Float("epsilon", 1e-5)
	g := single(n)
	g.Record = func(r *Recorder) error {
		x, scale, y := r.In[0], r.In[1], r.Out[0]
		rows, width, ok := rowsOf(x, scale)
		if !ok {
			return r.mismatch(x, scale, y)
		}
		return r.Launch("norm", "rms_norm", [3]int{rows, 1, 1}, wide, x, typeOf(x), scale, typeOf(scale), y, typeOf(y), width, epsilon)
	}
	return g, true
}

// lowerLayerNorm covers LayerNormalization of rows, without its statistics.
func lowerLayerNorm(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("LayerNormalization") || !anyFloats(n.In(0), n.In(1), n.In(2)) || !overLastAxis(n) || n.Out(1) != nil || n.Out(2) != nil {
		return Group{}, false
	}
	epsilon := n.Float("epsilon", 1e-5)
	g := single(n)
	g.Record = func(r *Recorder) error {
		x, scale, bias, y := r.In[0], r.In[1], r.Optional(2), r.Out[0]
		rows, width, ok := rowsOf(x, scale, bias)
		if !ok {
			return r.mismatch(x, scale, bias, y)
		}
		return r.Launch("norm", "layer_norm", [3]int{rows, 1, 1}, wide, x, typeOf(x), scale, typeOf(scale), bias, typeOf(bias), bias != nil, y, typeOf(y), width, epsilon)
	}
	return g, true
}

// overLastAxis reports whether a node normalises the rows of input 0 and scales them by
// input 1, a vector.
func overLastAxis(n *graph.Node) bool {
	x, scale := n.Inputs[0].Type.Shape, n.Inputs[1].Type.Shape
	axis := n.Int("axis", -1)
	return len(x) > 0 && (axis == -1 || axis == int64(len(x)-1)) && len(scale) == 1 && scale[0].Equal(x[len(x)-1])
}

// rowsOf returns the rows of x and their width; ok is false unless all vectors are as
// wide. A tensor without elements has no rows.
func rowsOf(x *Tensor, vectors ...*Tensor) (rows, width int, ok bool) {
	width = x.At(-1)
	for _, v := range vectors {
		if v != nil && v.Len() != width {
			return 0, 0, false
		}
	}
	if width == 0 {
		return 0, 0, true
	}
	return x.Len() / width, width, true
}
