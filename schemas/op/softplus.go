package op

import (
	"math"

	"mnnconv/graph"
)

// Softplus is ONNX Softplus: a smooth rectifier.
var Softplus = &Op{
	Name: "Softplus", Since: 1,
	Doc:    "Y = ln(1 + exp(X)), element by element, without overflow.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		return evalUnary(c, unary{float: func(x float64) float64 {
			return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x)))
		}})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -1, 1000})},
			Want: []*graph.Tensor{graph.Floats([]float32{0.6931472, 1.3132616, 0.3132617, 1000})},
			Tol:  1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{0}, 1, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x398c}, 1, 1)},
		}}
	},
}
