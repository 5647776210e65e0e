package op

import (
	"math"

	"mnnconv/graph"
)

// Mish is ONNX Mish: a smooth rectifier.
var Mish = &Op{
	Name: "Mish", Since: 18,
	Doc:    "Y = X*tanh(ln(1 + exp(X))), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		return evalUnary(c, unary{float: func(x float64) float64 {
			return x * math.Tanh(max(x, 0)+math.Log1p(math.Exp(-math.Abs(x))))
		}})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -2, 50}, 4, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.0, 0.86509839, -0.25250148, 50}, 4, 1)},
			Tol:  1e-6,
		}}
	},
}
