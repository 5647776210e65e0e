package op

import (
	"math"

	"mnnconv/graph"
)

// ReduceLogSum is ONNX ReduceLogSum: logarithm of the sum along axes.
var ReduceLogSum = &Op{
	Name: "ReduceLogSum", Since: 1,
	Doc: "reduced = ln(sum of data) along axes, for floats. All axes by default; " +
		"a list of axes is an input since opset 18, an attribute before. Over no elements: minus infinity.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(isReal, nil),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: func(x []float64) float64 { return math.Log(sumOf(x)) },
			empty: math.Inf(-1),
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "last axis",
			In:   []*graph.Tensor{graph.Floats([]float32{0.5, 0.5, 1, 3}, 2, 2), graph.Ints([]int64{-1})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 1.3862944}, 2, 1)},
			Tol:  1e-7,
		}, {
			Name: "no elements",
			In:   []*graph.Tensor{graph.Floats(nil, 1, 0), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.Floats([]float32{float32(math.Inf(-1))}, 1, 1)},
		}}
	},
}
