package op

import (
	"math"

	"mnnconv/graph"
)

// Cos is ONNX Cos: element-wise cosine.
var Cos = &Op{
	Name: "Cos", Since: 7,
	Doc:    "output = cos(input), element by element, in radians.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Cos}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, 100})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 0.5403023, 0.8623189})},
			Tol:  1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1}, 1, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3853}, 1, 1)},
		}, {
			Name: "float64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{1})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{0.5403023058681398})},
			Tol:  1e-7,
		}}
	},
}
