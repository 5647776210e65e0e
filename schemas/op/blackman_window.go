package op

import (
	"math"

	"mnnconv/graph"
)

// BlackmanWindow is ONNX BlackmanWindow.
var BlackmanWindow = &Op{
	Name: "BlackmanWindow", Since: 17,
	Doc:    "0.42 - 0.5·cos(2πi/N) + 0.08·cos(4πi/N) for i from 0 to size-1, with N = size if periodic (default), else size-1.",
	Inputs: []string{"size"}, Outputs: []string{"output"}, Attrs: []string{"output_datatype", "periodic"},
	Infer: inferWindowFunction,
	Eval: func(c *Call) error {
		return evalWindowFunction(c, func(a float64) float64 { return 0.42 - 0.5*math.Cos(a) + float64(0.08*math.Cos(2*a)) })
	},
	Cases: func() []Case {
		symmetric := []graph.Attr{{Name: "periodic", Value: int64(0)}}
		return []Case{
			{Name: "periodic", In: []*graph.Tensor{graph.Scalar(4)}, Want: []*graph.Tensor{graph.Floats([]float32{0, 0.34, 1, 0.34})}, Tol: 1e-6},
			{Name: "symmetric", Attrs: symmetric, In: []*graph.Tensor{graph.Scalar(3)}, Want: []*graph.Tensor{graph.Floats([]float32{0, 1, 0})}, Tol: 1e-6},
			{Name: "one", Attrs: symmetric, In: []*graph.Tensor{graph.Scalar(1)}, Want: []*graph.Tensor{graph.Floats([]float32{1})}},
		}
	},
}
