package op

import (
	"math"

	"mnnconv/graph"
)

// Softsign is ONNX Softsign: a rational sigmoid.
var Softsign = &Op{
	Name: "Softsign", Since: 1,
	Doc:    "Y = X/(1 + |X|), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		return evalUnary(c, unary{float: func(x float64) float64 { return x / (1 + math.Abs(x)) }})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -3}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0.5, -0.75}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
