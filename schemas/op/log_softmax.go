package op

import (
	"math"

	"mnnconv/graph"
)

// LogSoftmax is ONNX LogSoftmax: the logarithm of Softmax.
var LogSoftmax = &Op{
	Name: "LogSoftmax", Since: 1,
	Doc:    "output = input - m - ln(sum(exp(input - m))) along axis, m being the maximum along it. What axis means is as in Softmax.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Attrs: []string{"axis"},
	Infer: inferSoftmax,
	Eval: func(c *Call) error {
		return evalSoftmax(c, func(x []float64) {
			sum := 0.0
			for _, v := range x {
				sum += math.Exp(v)
			}
			for i := range x {
				x[i] -= math.Log(sum)
			}
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "last axis",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 0, 1000, 0}, 2, 3)},
			Want: []*graph.Tensor{graph.Floats([]float32{-2.407606, -1.4076059, -0.40760595, -1000, 0, -1000}, 2, 3)},
			Tol:  1e-6,
		}, {
			Name: "opset 1 joins trailing axes", Version: 7,
			Attrs: []graph.Attr{{Name: "axis", Value: int64(0)}},
			In:    []*graph.Tensor{graph.Floats([]float32{3, 3, 3, 3}, 2, 2)},
			Want:  []*graph.Tensor{graph.Floats([]float32{-1.3862944, -1.3862944, -1.3862944, -1.3862944}, 2, 2)},
			Tol:   1e-7,
		}}
	},
}
