package op

import (
	"math"

	"mnnconv/graph"
)

// Asinh is ONNX Asinh: element-wise asinh.
var Asinh = &Op{
	Name: "Asinh", Since: 9,
	Doc:    "output = asinh(input), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Asinh}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -2}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.0, 0.88137359, -1.4436355}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
