package op

import (
	"mnnconv/graph"
)

// ThresholdedRelu is ONNX ThresholdedRelu: a rectifier with a threshold.
var ThresholdedRelu = &Op{
	Name: "ThresholdedRelu", Since: 10,
	Doc:    "Y = X where X > alpha (default 1), else 0, element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"alpha"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		alpha := float64(c.Node.Float("alpha", 1))
		return evalUnary(c, unary{float: func(x float64) float64 {
			if x > alpha {
				return x
			}
			return 0
		}})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0.5, 1, 1.5, -3}, 4, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0, 1.5, 0}, 4, 1)},
			Tol:  1e-6,
		}}
	},
}
