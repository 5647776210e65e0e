package op

import (
	"math"

	"mnnconv/graph"
)

// Atanh is ONNX Atanh: element-wise atanh.
var Atanh = &Op{
	Name: "Atanh", Since: 9,
	Doc:    "output = atanh(input), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Atanh}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 0.5, -0.9}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.0, 0.54930614, -1.4722195}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
