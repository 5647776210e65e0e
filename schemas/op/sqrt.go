package op

import (
	"math"

	"mnnconv/graph"
)

// Sqrt is ONNX Sqrt: element-wise square root.
var Sqrt = &Op{
	Name: "Sqrt", Since: 6,
	Doc:    "Y = sqrt(X), element by element; NaN where X is negative.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Sqrt}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 2.25, 2})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 1.5, 1.4142135})},
			Tol:  1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{4, 2}, 2, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x4000, 0x3da8}, 2, 1)},
		}, {
			Name: "float64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{2.25})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{1.5})},
			Tol:  1e-7,
		}}
	},
}
