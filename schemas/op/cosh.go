package op

import (
	"math"

	"mnnconv/graph"
)

// Cosh is ONNX Cosh: element-wise cosh.
var Cosh = &Op{
	Name: "Cosh", Since: 9,
	Doc:    "output = cosh(input), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Cosh}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -2}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{1.0, 1.5430806, 3.7621957}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
