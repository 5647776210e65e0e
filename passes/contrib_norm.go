package passes

import (
	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// contribNorm rewrites onnxruntime's SimplifiedLayerNormalization (which exporters
// put into the default domain) and SkipSimplifiedLayerNormalization, whose fourth
// output is the sum that goes on as the residual.
func contribNorm(c *context) error {
	r := c.rewriter()
	uses := c.g.Uses()
	read := func(v *graph.Value) bool { return v != nil && len(uses[v]) > 0 } // some exporters name every output
	for _, n := range c.g.Nodes {
		switch {
		case n.Op == "SimplifiedLayerNormalization" && (n.Domain == "" || n.Domain == op.Microsoft):
			if read(n.Out(1)) || !lastAxisIs(n) {
				continue
			}
			c.rmsFrom(r, n, n.Inputs[0], n.Inputs[1])
		case n.Op == "SkipSimplifiedLayerNormalization" && n.Domain == op.Microsoft:
			if read(n.Out(1)) || read(n.Out(2)) {
				continue
			}
			sum := r.op1(n, "Add", nil, n.Inputs[0], n.Inputs[1])
			if bias := n.In(3); bias != nil {
				sum = r.op1(n, "Add", nil, sum, bias)
			}
			if out := n.Out(3); read(out) {
				r.take(sum.Def, 0, out)
				sum = out
			}
			if read(n.Out(0)) {
				c.rmsFrom(r, n, sum, n.Inputs[2])
			}
		}
	}
	return r.apply()
}

func (c *context) rmsFrom(r *rewriter, n *graph.Node, x, w *graph.Value) {
	eps := n.Float("epsilon", 1e-5)
	if n.Op == "SkipSimplifiedLayerNormalization" {
		eps = n.Float("epsilon", 1e-12)
	}
	m := r.add(n, "RMSNormalization", attrs{"axis": -1, "epsilon": eps, "stash_type": 1}, 1, x, w)
	r.take(m, 0, n.Outputs[0])
	c.raised("RMSNormalization")
}

// lastAxisIs reports whether a norm's attribute axis is the last one.
func lastAxisIs(n *graph.Node) bool {
	axis := n.Int("axis", -1)
	return axis == -1 || n.Inputs[0].Type.Shape.Ranked() && axis == int64(len(n.Inputs[0].Type.Shape)-1)
}
