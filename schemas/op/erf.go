package op

import (
	"math"

	"mnnconv/graph"
)

// Erf is ONNX Erf: element-wise error function.
var Erf = &Op{
	Name: "Erf", Since: 9,
	Doc:    "output = erf(input) = 2/sqrt(pi) * integral of exp(-t^2) from 0 to input, element by element.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Erf}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 0.5, -3})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0.5204999, -0.9999779})},
			Tol:  1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1}, 1, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3abe}, 1, 1)},
		}, {
			Name: "float64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{0.5})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{0.5204998778130465})},
			Tol:  1e-7,
		}}
	},
}
