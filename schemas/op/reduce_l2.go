package op

import (
	"math"

	"mnnconv/graph"
)

// ReduceL2 is ONNX ReduceL2: Euclidean norm along axes.
var ReduceL2 = &Op{
	Name: "ReduceL2", Since: 1,
	Doc: "reduced = sqrt(sum of data^2) along axes; that of integers truncates. All axes by default; " +
		"a list of axes is an input since opset 18, an attribute before. Over no elements: 0.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(isNumber, nil),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: func(x []float64) float64 { return math.Sqrt(squaresOf(x)) },
			int:   func(x []int64) int64 { return int64(math.Sqrt(float64(squaresOf(x)))) },
			uint:  func(x []uint64) uint64 { return uint64(math.Sqrt(float64(squaresOf(x)))) },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "last axis",
			In:   []*graph.Tensor{graph.Floats([]float32{3, -4, 0, 12}, 2, 2), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.Floats([]float32{5, 12}, 2, 1)},
		}, {
			Name: "float16 squares beyond its range",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{3000, 4000})},
			Want: []*graph.Tensor{narrow(graph.Float16, []float32{5000})},
		}, {
			Name: "int32 truncates",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-2, 2})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{2})},
		}}
	},
}
