package op

import (
	"math"

	"mnnconv/graph"
)

// Asin is ONNX Asin: element-wise asin.
var Asin = &Op{
	Name: "Asin", Since: 7,
	Doc:    "output = asin(input), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Asin}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -0.5}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.0, 1.5707963, -0.52359878}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
