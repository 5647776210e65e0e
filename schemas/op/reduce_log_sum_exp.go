package op

import (
	"math"

	"mnnconv/graph"
)

// ReduceLogSumExp is ONNX ReduceLogSumExp: logarithm of the sum of exponentials along axes.
var ReduceLogSumExp = &Op{
	Name: "ReduceLogSumExp", Since: 1,
	Doc: "reduced = ln(sum of exp(data)) along axes, for floats, without overflow. All axes by default; " +
		"a list of axes is an input since opset 18, an attribute before. Over no elements: minus infinity.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(isReal, nil),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: logSumExp,
			empty: math.Inf(-1),
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "last axis",
			In:   []*graph.Tensor{graph.Floats([]float32{0, 0, 1000, 1000}, 2, 2), graph.Ints([]int64{-1})},
			Want: []*graph.Tensor{graph.Floats([]float32{0.6931472, 1000.6931}, 2, 1)},
			Tol:  1e-7,
		}, {
			Name: "attribute of opset 13", Version: 13,
			Attrs: []graph.Attr{{Name: "axes", Value: []int64{0}}, {Name: "keepdims", Value: int64(0)}},
			In:    []*graph.Tensor{graph.Floats([]float32{float32(math.Inf(-1)), float32(math.Inf(-1))})},
			Want:  []*graph.Tensor{graph.Floats([]float32{float32(math.Inf(-1))}, []int64{}...)},
		}}
	},
}
