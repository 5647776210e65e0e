package op

import (
	"math"

	"mnnconv/graph"
)

// HammingWindow is ONNX HammingWindow.
var HammingWindow = &Op{
	Name: "HammingWindow", Since: 17,
	Doc:    "25/46 - 21/46·cos(2πi/N) for i from 0 to size-1, with N = size if periodic (default), else size-1.",
	Inputs: []string{"size"}, Outputs: []string{"output"}, Attrs: []string{"output_datatype", "periodic"},
	Infer: inferWindowFunction,
	Eval: func(c *Call) error {
		return evalWindowFunction(c, func(a float64) float64 { return 25.0/46 - float64(21.0/46*math.Cos(a)) })
	},
	Cases: func() []Case {
		symmetric := []graph.Attr{{Name: "periodic", Value: int64(0)}}
		return []Case{
			{Name: "periodic", In: []*graph.Tensor{graph.Scalar(4)}, Want: []*graph.Tensor{graph.Floats([]float32{0.08695652, 0.54347826, 1, 0.54347826})}, Tol: 1e-6},
			{Name: "symmetric", Attrs: symmetric, In: []*graph.Tensor{graph.Scalar(3)}, Want: []*graph.Tensor{graph.Floats([]float32{0.08695652, 1, 0.08695652})}, Tol: 1e-6},
			{Name: "one", Attrs: symmetric, In: []*graph.Tensor{graph.Scalar(1)}, Want: []*graph.Tensor{graph.Floats([]float32{1})}},
		}
	},
}
