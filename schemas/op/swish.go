package op

import "mnnconv/graph"

// Swish is ONNX Swish: element-wise x * sigmoid(alpha*x), also known as SiLU.
var Swish = &Op{
	Name: "Swish", Since: 24,
	Doc:    "Y = X / (1 + exp(-alpha*X)), element by element; alpha is 1 by default.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"alpha"},
	Infer: inferReal,
	Eval: func(c *Call) error {
		alpha := float64(c.Node.Float("alpha", 1))
		return evalUnary(c, unary{float: func(x float64) float64 { return x * sigmoid(alpha*x) }})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{-1, 0, 3, -200})},
			Want: []*graph.Tensor{graph.Floats([]float32{-0.26894143, 0, 2.8577223, 0})},
			Tol:  1e-7,
		}, {
			Name:  "alpha",
			Attrs: []graph.Attr{{Name: "alpha", Value: float32(2)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1}, []int64{}...)},
			Want:  []*graph.Tensor{graph.Floats([]float32{0.880797}, []int64{}...)},
			Tol:   1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{3})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x41b7})},
		}}
	},
}
