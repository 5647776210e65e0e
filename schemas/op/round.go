package op

import (
	"math"

	"mnnconv/graph"
)

// Round is ONNX Round: element-wise rounding to the nearest integer.
var Round = &Op{
	Name: "Round", Since: 11,
	Doc:    "Y is the integer nearest to X, element by element, halves to the even one; infinities and NaN stay.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.RoundToEven}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0.9, 2.5, -4.5, 1.5})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, -4, 2})},
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{2.5}, 1, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x4000}, 1, 1)},
		}, {
			Name: "float64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{2.5})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{2.0})},
		}}
	},
}
