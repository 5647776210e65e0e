package op

import (
	"math"

	"mnnconv/graph"
)

// Sin is ONNX Sin: element-wise sine.
var Sin = &Op{
	Name: "Sin", Since: 7,
	Doc:    "output = sin(input), element by element, in radians.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Sin}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, 100})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0.84147096, -0.50636566})},
			Tol:  1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1}, 1, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3abb}, 1, 1)},
		}, {
			Name: "float64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{1})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{0.8414709848078965})},
			Tol:  1e-7,
		}}
	},
}
