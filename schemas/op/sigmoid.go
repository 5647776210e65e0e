package op

import (
	"math"

	"mnnconv/graph"
)

// Sigmoid is ONNX Sigmoid: element-wise logistic function.
var Sigmoid = &Op{
	Name: "Sigmoid", Since: 6,
	Doc:    "Y = 1 / (1 + exp(-X)), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: sigmoid}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 1, -200, 200})},
			Want: []*graph.Tensor{graph.Floats([]float32{0.5, 0.7310586, 0, 1})},
			Tol:  1e-7,
		}, {
			Name: "bfloat16",
			In:   []*graph.Tensor{narrow(graph.BFloat16, []float32{0, 1}, 1, 2)},
			Want: []*graph.Tensor{graph.FromSlice(graph.BFloat16, []uint16{0x3f00, 0x3f3b}, 1, 2)},
		}}
	},
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
