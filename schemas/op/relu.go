package op

import (
	"math"

	"mnnconv/graph"
)

// Relu is ONNX Relu: element-wise rectified linear unit.
var Relu = &Op{
	Name: "Relu", Since: 6,
	Doc:    "Y = max(0, X), element by element; NaN stays.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: only(isNumber, inferUnary(func(x graph.Dim) (graph.Dim, bool) { return maxDim(x, graph.Const(0)), true })),
	Eval: func(c *Call) error {
		return evalUnary(c, unary{
			float: func(x float64) float64 { return max(0, x) },
			int:   func(x int64) int64 { return max(0, x) },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1.5, -2, float32(math.NaN())}, 1, 3)},
			Want: []*graph.Tensor{graph.Floats([]float32{1.5, 0, float32(math.NaN())}, 1, 3)},
			Tol:  1e-9,
		}, {
			Name: "int64",
			In:   []*graph.Tensor{graph.Ints([]int64{-3, 4})},
			Want: []*graph.Tensor{graph.Ints([]int64{0, 4})},
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{-1, 2})},
			Want: []*graph.Tensor{narrow(graph.Float16, []float32{0, 2})},
		}}
	},
}
