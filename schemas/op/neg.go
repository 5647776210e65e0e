package op

import "mnnconv/graph"

// Neg is ONNX Neg: element-wise negation.
var Neg = &Op{
	Name: "Neg", Since: 6,
	Doc:    "Y = -X, element by element; the smallest integer stays.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: only(isNumber, inferUnary(func(x graph.Dim) (graph.Dim, bool) { return graph.Const(0).Sub(x), true })),
	Eval: func(c *Call) error {
		return evalUnary(c, unary{
			float: func(x float64) float64 { return -x },
			int:   func(x int64) int64 { return -x },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1, -2.5}, 2, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 2.5}, 2, 1)},
		}, {
			Name: "int64",
			In:   []*graph.Tensor{graph.Ints([]int64{3, -4})},
			Want: []*graph.Tensor{graph.Ints([]int64{-3, 4})},
		}, {
			Name: "int8",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{-128, 127})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{-128, -127})},
		}}
	},
}
