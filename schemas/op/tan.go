package op

import (
	"math"

	"mnnconv/graph"
)

// Tan is ONNX Tan: element-wise tan.
var Tan = &Op{
	Name: "Tan", Since: 7,
	Doc:    "output = tan(input), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Tan}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -0.5}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.0, 1.5574077, -0.54630249}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
