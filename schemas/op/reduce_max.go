package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// ReduceMax is ONNX ReduceMax: maximum along axes.
var ReduceMax = &Op{
	Name: "ReduceMax", Since: 1,
	Doc: "reduced = maximum of data along axes; NaN if there is one; false < true. All axes by default; " +
		"a list of axes is an input since opset 18, an attribute before. Over no elements: minus infinity, or the smallest value of the dtype.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(func(d graph.DType) bool { return isNumber(d) || isBool(d) }, maxDim),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: slices.Max[[]float64], int: slices.Max[[]int64], uint: slices.Max[[]uint64],
			empty: math.Inf(-1),
		})
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
		return []Case{{
			Name: "last axis",
			In:   []*graph.Tensor{x, graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 6}, 2, 1)},
		}, {
			Name: "int64 scalar", Version: 17,
			Attrs: []graph.Attr{{Name: "keepdims", Value: int64(0)}},
			In:    []*graph.Tensor{graph.Ints([]int64{3, -1, 7})},
			Want:  []*graph.Tensor{graph.Scalar(7)},
		}, {
			Name: "bool",
			In:   []*graph.Tensor{bools([]bool{false, true, false, false}, 2, 2), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{bools([]bool{true, false}, 2, 1)},
		}, {
			Name: "no elements",
			In:   []*graph.Tensor{graph.Floats(nil, 2, 0), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.Floats([]float32{float32(math.Inf(-1)), float32(math.Inf(-1))}, 2, 1)},
		}, {
			Name: "no elements, int32",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{}, 1, 0), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{math.MinInt32}, 1, 1)},
		}, {
			Name: "uint64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1, 1 << 63})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1 << 63})},
		}}
	},
}
