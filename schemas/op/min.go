package op

import (
	"math"

	"mnnconv/graph"
)

// Min is ONNX Min: element-wise minimum of any number of tensors.
var Min = &Op{
	Name: "Min", Since: 8,
	Doc:    "The smallest of the inputs, element by element, with multidirectional broadcasting; NaN if one of them is NaN.",
	Inputs: []string{"data_0..."}, Outputs: []string{"min"},
	Infer: only(isNumber, inferElementwise(func(x []graph.Dim) (graph.Dim, bool) {
		m := x[0]
		for _, d := range x[1:] {
			m = minDim(m, d)
		}
		return m, true
	})),
	Eval: func(c *Call) error {
		return evalVariadic(c, arith{
			float: func(a, b float64) float64 { return min(a, b) },
			int:   func(a, b int64) (int64, error) { return min(a, b), nil },
			uint:  func(a, b uint64) (uint64, error) { return min(a, b), nil },
		}, nil)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "broadcast scalar",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 5, -2}), graph.Floats([]float32{3}, []int64{}...)},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 3, -2})},
		}, {
			Name: "NaN",
			In:   []*graph.Tensor{graph.Floats([]float32{float32(math.NaN()), 1}), graph.Floats([]float32{float32(math.Inf(-1)), 2})},
			Want: []*graph.Tensor{graph.Floats([]float32{float32(math.NaN()), 1})},
			Tol:  1e-9,
		}, {
			Name: "int8 with an empty input",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{}, 0, 2), graph.FromSlice(graph.Int8, []int8{1, 2})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{}, 0, 2)},
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1, -3}), narrow(graph.Float16, []float32{2, 2})},
			Want: []*graph.Tensor{narrow(graph.Float16, []float32{1, -3})},
		}}
	},
}
