package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// ReduceMin is ONNX ReduceMin: minimum along axes.
var ReduceMin = &Op{
	Name: "ReduceMin", Since: 1,
	Doc: "reduced = minimum of data along axes; NaN if there is one; false < true. All axes by default; " +
		"a list of axes is an input since opset 18, an attribute before. Over no elements: infinity, or the largest value of the dtype.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(func(d graph.DType) bool { return isNumber(d) || isBool(d) }, minDim),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: slices.Min[[]float64], int: slices.Min[[]int64], uint: slices.Min[[]uint64],
			empty: math.Inf(1),
		})
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
		return []Case{{
			Name: "first axis",
			In:   []*graph.Tensor{x, graph.Ints([]int64{-2})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3}, 1, 3)},
		}, {
			Name: "NaN",
			In:   []*graph.Tensor{graph.Floats([]float32{1, float32(math.NaN())})},
			Want: []*graph.Tensor{graph.Floats([]float32{float32(math.NaN())})},
			Tol:  1e-9,
		}, {
			Name: "no elements, uint8",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{}, 0, 2), graph.Ints([]int64{0})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{255, 255}, 1, 2)},
		}, {
			Name: "no elements, bool",
			In:   []*graph.Tensor{bools(nil, 0), graph.Ints([]int64{0})},
			Want: []*graph.Tensor{bools([]bool{true})},
		}}
	},
}
