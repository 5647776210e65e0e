package op

import (
	"math"

	"mnnconv/graph"
)

// Exp is ONNX Exp: element-wise exponential.
var Exp = &Op{
	Name: "Exp", Since: 6,
	Doc:    "output = e^input, element by element.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Exp}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -200})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2.7182817, 0})},
			Tol:  1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1, 12}, 2, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x4170, 0x7c00}, 2, 1)},
		}, {
			Name: "float64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{1})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{2.718281828459045})},
			Tol:  1e-7,
		}}
	},
}
