package op

import "mnnconv/graph"

// LeakyRelu is ONNX LeakyRelu: a rectifier that lets a part of negative values through.
var LeakyRelu = &Op{
	Name: "LeakyRelu", Since: 6,
	Doc:    "Y = alpha*X where X < 0, else X, element by element; alpha is 0.01 by default.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"alpha"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		alpha := float64(c.Node.Float("alpha", 0.01))
		return evalUnary(c, unary{float: func(x float64) float64 {
			if x < 0 {
				return alpha * x
			}
			return x
		}})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "default alpha",
			In:   []*graph.Tensor{graph.Floats([]float32{-100, 0, 2}, 3, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 0, 2}, 3, 1)},
			Tol:  1e-7,
		}, {
			Name:  "alpha",
			Attrs: []graph.Attr{{Name: "alpha", Value: float32(0.25)}},
			In:    []*graph.Tensor{narrow(graph.Float16, []float32{-4, 3})},
			Want:  []*graph.Tensor{narrow(graph.Float16, []float32{-1, 3})},
		}}
	},
}
