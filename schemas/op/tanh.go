package op

import (
	"math"

	"mnnconv/graph"
)

// Tanh is ONNX Tanh: element-wise hyperbolic tangent.
var Tanh = &Op{
	Name: "Tanh", Since: 6,
	Doc:    "output = tanh(input), element by element.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Tanh}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 0.5, -20})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0.46211717, -1})},
			Tol:  1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1}, 1, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3a18}, 1, 1)},
		}, {
			Name: "float64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{0.5})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{0.46211715726000974})},
			Tol:  1e-7,
		}}
	},
}
