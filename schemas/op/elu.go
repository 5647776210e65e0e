package op

import (
	"math"

	"mnnconv/graph"
)

// Elu is ONNX Elu: exponential linear unit.
var Elu = &Op{
	Name: "Elu", Since: 6,
	Doc:    "Y = alpha*(exp(X)-1) where X < 0, else X, element by element; alpha is 1 by default.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"alpha"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		alpha := float64(c.Node.Float("alpha", 1))
		return evalUnary(c, unary{float: func(x float64) float64 {
			if x < 0 {
				return alpha * math.Expm1(x)
			}
			return x
		}})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "default alpha",
			In:   []*graph.Tensor{graph.Floats([]float32{-1, 0, 2})},
			Want: []*graph.Tensor{graph.Floats([]float32{-0.63212055, 0, 2})},
			Tol:  1e-7,
		}, {
			Name:  "alpha",
			Attrs: []graph.Attr{{Name: "alpha", Value: float32(2)}},
			In:    []*graph.Tensor{graph.Floats([]float32{-1e3, 1}, 1, 2)},
			Want:  []*graph.Tensor{graph.Floats([]float32{-2, 1}, 1, 2)},
		}}
	},
}
