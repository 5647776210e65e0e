package passes

// joinedSoftmax takes apart Softmax, LogSoftmax and Hardmax over several extents, as
// they were before opset 13: Flatten joins the extents from axis on, the operator of
// today runs along the one that they make, and Reshape parts them again.
func joinedSoftmax(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if n.Version >= 13 || !n.Is("Softmax") && !n.Is("LogSoftmax") && !n.Is("Hardmax") {
			continue
		}
		x := n.Inputs[0]
		axis, rank := n.Int("axis", 1), int64(len(x.Type.Shape))
		if !x.Type.Shape.Ranked() || axis == rank-1 || axis == -1 {
			continue
		}
		y := r.op1(n, n.Op, attrs{"axis": 1}, r.op1(n, "Flatten", attrs{"axis": axis}, x))
		y = r.op1(n, "Reshape", attrs{"allowzero": 1}, y, r.op1(n, "Shape", nil, x))
		r.take(y.Def, 0, n.Outputs[0])
	}
	return r.apply()
}
