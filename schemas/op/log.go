package op

import (
	"math"

	"mnnconv/graph"
)

// Log is ONNX Log: element-wise natural logarithm.
var Log = &Op{
	Name: "Log", Since: 6,
	Doc:    "output = ln(input), element by element; -infinity for 0 and NaN where input is negative.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Infer: inferReal,
	Eval:  func(c *Call) error { return evalUnary(c, unary{float: math.Log}) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 0.1})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0.6931472, -2.3025851})},
			Tol:  1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1, 2}, 2, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x0, 0x398c}, 2, 1)},
		}, {
			Name: "float64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{2})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float64, []float64{0.6931471805599453})},
			Tol:  1e-7,
		}}
	},
}
