package op

import (
	"math"

	"mnnconv/graph"
)

// Acos is ONNX Acos: element-wise acos.
var Acos = &Op{
	Name: "Acos", Since: 7,
	Doc:    "output = acos(input), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Acos}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 0, -0.5}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.0, 1.5707963, 2.0943951}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
