package op

import "mnnconv/graph"

// HardSigmoid is ONNX HardSigmoid: a piecewise linear sigmoid.
var HardSigmoid = &Op{
	Name: "HardSigmoid", Since: 6,
	Doc:    "Y = max(0, min(1, alpha*X + beta)), element by element; alpha is 0.2 and beta 0.5 by default.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"alpha", "beta"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		alpha, beta := float64(c.Node.Float("alpha", 0.2)), float64(c.Node.Float("beta", 0.5))
		return evalUnary(c, unary{float: func(x float64) float64 { return max(0, min(1, float64(alpha*x)+beta)) }})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "defaults",
			In:   []*graph.Tensor{graph.Floats([]float32{-3, -1, 0, 3})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0.3, 0.5, 1})},
			Tol:  1e-7,
		}, {
			Name:  "attributes",
			Attrs: []graph.Attr{{Name: "alpha", Value: float32(0.5)}, {Name: "beta", Value: float32(0.25)}},
			In:    []*graph.Tensor{narrow(graph.Float16, []float32{1, -1}, 2, 1)},
			Want:  []*graph.Tensor{narrow(graph.Float16, []float32{0.75, 0}, 2, 1)},
		}}
	},
}
