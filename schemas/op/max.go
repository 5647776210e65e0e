package op

import (
	"math"

	"mnnconv/graph"
)

// Max is ONNX Max: element-wise maximum of any number of tensors.
var Max = &Op{
	Name: "Max", Since: 8,
	Doc:    "The largest of the inputs, element by element, with multidirectional broadcasting; NaN if one of them is NaN.",
	Inputs: []string{"data_0..."}, Outputs: []string{"max"},
	Infer: only(isNumber, inferElementwise(func(x []graph.Dim) (graph.Dim, bool) {
		m := x[0]
		for _, d := range x[1:] {
			m = maxDim(m, d)
		}
		return m, true
	})),
	Eval: func(c *Call) error {
		return evalVariadic(c, arith{
			float: func(a, b float64) float64 { return max(a, b) },
			int:   func(a, b int64) (int64, error) { return max(a, b), nil },
			uint:  func(a, b uint64) (uint64, error) { return max(a, b), nil },
		}, nil)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "three inputs",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 5, 2}), graph.Floats([]float32{3}), graph.Floats([]float32{0, 0, 9}, 1, 3)},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 5, 9}, 1, 3)},
		}, {
			Name: "one input",
			In:   []*graph.Tensor{graph.Ints([]int64{-4})},
			Want: []*graph.Tensor{graph.Ints([]int64{-4})},
		}, {
			Name: "NaN",
			In:   []*graph.Tensor{graph.Floats([]float32{float32(math.NaN()), 1}), graph.Floats([]float32{float32(math.Inf(1)), 2})},
			Want: []*graph.Tensor{graph.Floats([]float32{float32(math.NaN()), 2})},
			Tol:  1e-9,
		}, {
			Name: "uint64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1 << 63}), graph.FromSlice(graph.Uint64, []uint64{1})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1 << 63})},
		}}
	},
}
