package op

import (
	"math"

	"mnnconv/graph"
)

// Sinh is ONNX Sinh: element-wise sinh.
var Sinh = &Op{
	Name: "Sinh", Since: 9,
	Doc:    "output = sinh(input), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Sinh}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -2}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.0, 1.1752012, -3.6268604}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
