package op

import (
	"math"

	"mnnconv/graph"
)

// Selu is ONNX Selu: a scaled exponential linear unit.
var Selu = &Op{
	Name: "Selu", Since: 6,
	Doc:    "Y = gamma*X where X > 0, else gamma*alpha*(exp(X) - 1), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"alpha", "gamma"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		alpha, gamma := float64(c.Node.Float("alpha", 1.67326319217681884765625)), float64(c.Node.Float("gamma", 1.05070102214813232421875))
		return evalUnary(c, unary{float: func(x float64) float64 {
			if x > 0 {
				return gamma * x
			}
			return gamma * alpha * math.Expm1(x)
		}})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -1}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 1.050701, -1.1113307}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
