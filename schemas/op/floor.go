package op

import (
	"math"

	"mnnconv/graph"
)

// Floor is ONNX Floor: element-wise rounding down.
var Floor = &Op{
	Name: "Floor", Since: 6,
	Doc:    "Y is the largest integer not above X, element by element; infinities and NaN stay.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Floor}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1.5, -1.5, -2})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, -2, -2})},
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{-0.5}, 1, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0xbc00}, 1, 1)},
		}, {
			Name: "float64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{-1.5})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{-2.0})},
		}}
	},
}
