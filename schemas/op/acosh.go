package op

import (
	"math"

	"mnnconv/graph"
)

// Acosh is ONNX Acosh: element-wise acosh.
var Acosh = &Op{
	Name: "Acosh", Since: 9,
	Doc:    "output = acosh(input), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Acosh}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 10}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.0, 1.3169579, 2.9932228}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
