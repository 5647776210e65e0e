package op

import (
	"math"

	"mnnconv/graph"
)

// Atan is ONNX Atan: element-wise atan.
var Atan = &Op{
	Name: "Atan", Since: 7,
	Doc:    "output = atan(input), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Atan}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -2}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.0, 0.78539816, -1.1071487}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
