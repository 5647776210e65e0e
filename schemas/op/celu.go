package op

import (
	"math"

	"mnnconv/graph"
)

// Celu is ONNX Celu: a continuously differentiable exponential linear unit.
var Celu = &Op{
	Name: "Celu", Since: 12,
	Doc:    "Y = max(0, X) + min(0, alpha*(exp(X/alpha) - 1)), element by element; alpha is 1 by default.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"alpha"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		alpha := float64(c.Node.Float("alpha", 1))
		return evalUnary(c, unary{float: func(x float64) float64 {
			return max(0, x) + min(0, alpha*math.Expm1(x/alpha))
		}})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -1}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 1, -0.63212056}, 3, 1)},
			Tol:  1e-6,
		}}
	},
}
