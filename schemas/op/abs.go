package op

import (
	"math"

	"mnnconv/graph"
)

// Abs is ONNX Abs: element-wise absolute value.
var Abs = &Op{
	Name: "Abs", Since: 6,
	Doc:    "Y = |X|, element by element; the smallest integer stays.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: only(isNumber, inferUnary(func(x graph.Dim) (graph.Dim, bool) {
		minus := graph.Const(0).Sub(x)
		if minus.NonNegative() {
			return minus, true
		}
		return x, x.NonNegative()
	})),
	Eval: func(c *Call) error {
		return evalUnary(c, unary{
			float: math.Abs,
			int:   func(x int64) int64 { return max(x, -x) },
			uint:  func(x uint64) uint64 { return x },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1, -2.5, float32(math.Inf(-1))})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2.5, float32(math.Inf(1))})},
		}, {
			Name: "int64",
			In:   []*graph.Tensor{graph.Ints([]int64{3, -4, math.MinInt64})},
			Want: []*graph.Tensor{graph.Ints([]int64{3, 4, math.MinInt64})},
		}, {
			Name: "uint64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{math.MaxUint64})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{math.MaxUint64})},
		}}
	},
}
