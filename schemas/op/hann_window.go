package op

import (
	"math"

	"mnnconv/graph"
)

// HannWindow is ONNX HannWindow.
var HannWindow = &Op{
	Name: "HannWindow", Since: 17,
	Doc:    "sin²(πi/N) for i from 0 to size-1, with N = size if periodic (default), else size-1.",
	Inputs: []string{"size"}, Outputs: []string{"output"}, Attrs: []string{"output_datatype", "periodic"},
	Infer: inferWindowFunction,
	Eval: func(c *Call) error {
		return evalWindowFunction(c, func(a float64) float64 { return 0.5 - 0.5*math.Cos(a) })
	},
	Cases: func() []Case {
		symmetric := []graph.Attr{{Name: "periodic", Value: int64(0)}}
		return []Case{
			{Name: "periodic", In: []*graph.Tensor{graph.Scalar(4)}, Want: []*graph.Tensor{graph.Floats([]float32{0, 0.5, 1, 0.5})}, Tol: 1e-6},
			{Name: "symmetric", Attrs: symmetric, In: []*graph.Tensor{graph.Scalar(3)}, Want: []*graph.Tensor{graph.Floats([]float32{0, 1, 0})}, Tol: 1e-6},
			{Name: "one", Attrs: symmetric, In: []*graph.Tensor{graph.Scalar(1)}, Want: []*graph.Tensor{graph.Floats([]float32{1})}},
		}
	},
}
