package op

import (
	"math"

	"mnnconv/graph"
)

// Reciprocal is ONNX Reciprocal: element-wise 1/x.
var Reciprocal = &Op{
	Name: "Reciprocal", Since: 6,
	Doc:    "Y = 1/X, element by element; infinity for 0.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		return evalUnary(c, unary{float: func(x float64) float64 { return 1 / x }})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{4, -0.5, 0}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.25, -2, float32(math.Inf(1))}, 3, 1)},
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{3})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3555})},
		}}
	},
}
