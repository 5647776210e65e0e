package passes

import "mnnconv/graph"

// angles computes the angles of rotary embeddings in float32 where an exporter turned
// the whole graph to a narrow type: position 2049 is no float16, and 65,520 none at
// all. The tables of cosines and sines are of the narrow type as before.
func angles(c *context) error {
	r := c.rewriter()
	wide := map[*graph.Value]*graph.Value{}
	for _, n := range c.g.Nodes {
		if !n.Is("Cos") && !n.Is("Sin") || !narrow(n.Inputs[0].Type.DType) || !fromPositions(n.Inputs[0], 0) {
			continue
		}
		x := c.widen(r, n, n.Inputs[0], wide)
		y := r.op1(n, "Cast", attrs{"to": int64(n.Outputs[0].Type.DType)}, r.op1(n, n.Op, nil, x))
		r.take(y.Def, 0, n.Outputs[0])
	}
	return r.apply()
}

// fromPositions reports whether a value is computed from integers and constants by
// products, sums and moves alone.
func fromPositions(v *graph.Value, depth int) bool {
	if v == nil || v.Const != nil {
		return v != nil
	}
	n := v.Def
	if n == nil || n.Domain != "" || depth > 32 {
		return false
	}
	switch n.Op {
	case "Cast":
		return !narrow(n.Inputs[0].Type.DType)
	case "Mul", "MatMul", "Add", "Sub", "Div", "Concat":
		for _, x := range n.Inputs {
			if !fromPositions(x, depth+1) {
				return false
			}
		}
		return true
	case "Transpose", "Reshape", "Gather", "Unsqueeze", "Squeeze", "Slice", "Expand", "Identity", "Flatten":
		return fromPositions(n.Inputs[0], depth+1)
	}
	return false
}

// widen computes a value in float32, before a node.
func (c *context) widen(r *rewriter, at *graph.Node, v *graph.Value, wide map[*graph.Value]*graph.Value) *graph.Value {
	if w := wide[v]; w != nil {
		return w
	}
	if v.Const != nil || v.Def.Is("Cast") {
		x := v
		if v.Const == nil {
			x = v.Def.Inputs[0]
		}
		if x.Type.DType != graph.Float32 {
			x = r.op1(at, "Cast", attrs{"to": int64(graph.Float32)}, x)
		}
		wide[v] = x
		return x
	}
	n := v.Def
	ins := make([]*graph.Value, len(n.Inputs))
	for i, x := range n.Inputs {
		if ins[i] = x; x != nil && narrow(x.Type.DType) {
			ins[i] = c.widen(r, at, x, wide)
		}
	}
	a := attrs{}
	for _, attr := range n.Attrs {
		a[attr.Name] = attr.Value
	}
	w := r.addIn(at, n.Domain, n.Op, n.Version, a, 1, ins...).Outputs[0]
	wide[v] = w
	return w
}
