package op

import "mnnconv/graph"

// HardSwish is ONNX HardSwish: a piecewise Swish.
var HardSwish = &Op{
	Name: "HardSwish", Since: 14,
	Doc:    "Y = X * max(0, min(1, X/6 + 1/2)), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		return evalUnary(c, unary{float: func(x float64) float64 { return x * max(0, min(1, x/6+0.5)) }})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{-4, -1, 0, 2, 5})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, -0.33333334, 0, 1.6666666, 5})},
			Tol:  1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{-1.5, 3}, 2, 1)},
			Want: []*graph.Tensor{narrow(graph.Float16, []float32{-0.375, 3}, 2, 1)},
		}}
	},
}
