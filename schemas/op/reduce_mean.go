package op

import (
	"math"

	"mnnconv/graph"
)

// ReduceMean is ONNX ReduceMean: mean along axes.
var ReduceMean = &Op{
	Name: "ReduceMean", Since: 1,
	Doc: "reduced = mean of data along axes; that of integers truncates. All axes by default; " +
		"a list of axes is an input since opset 18, an attribute before. Over no elements: NaN, 0 for integers.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(isNumber, nil),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: func(x []float64) float64 { return sumOf(x) / float64(len(x)) },
			int:   func(x []int64) int64 { return sumOf(x) / int64(len(x)) },
			uint:  func(x []uint64) uint64 { return sumOf(x) / uint64(len(x)) },
			empty: math.NaN(),
		})
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
		return []Case{{
			Name:  "first axis",
			Attrs: []graph.Attr{{Name: "keepdims", Value: int64(0)}},
			In:    []*graph.Tensor{x, graph.Ints([]int64{0})},
			Want:  []*graph.Tensor{graph.Floats([]float32{2.5, 3.5, 4.5})},
		}, {
			Name: "attribute of opset 17", Version: 17,
			Attrs: []graph.Attr{{Name: "axes", Value: []int64{-1}}},
			In:    []*graph.Tensor{x},
			Want:  []*graph.Tensor{graph.Floats([]float32{2, 5}, 2, 1)},
		}, {
			Name: "int32 truncates",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-3, -4})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-3})},
		}, {
			Name: "bfloat16",
			In:   []*graph.Tensor{narrow(graph.BFloat16, []float32{256, 1, 1, 2}, 1, 4), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{narrow(graph.BFloat16, []float32{65}, 1, 1)},
		}}
	},
}
