package op

import (
	"math"

	"mnnconv/graph"
)

// GreaterOrEqual is ONNX GreaterOrEqual: element-wise comparison with broadcasting.
var GreaterOrEqual = &Op{
	Name: "GreaterOrEqual", Since: 12,
	Doc:    "C = A >= B, element by element, with multidirectional broadcasting; false where either is NaN.",
	Inputs: []string{"A", "B"}, Outputs: []string{"C"},
	Infer: only(isNumber, inferCompare(isGreater|isEqual)),
	Eval:  func(c *Call) error { return evalCompare(c, isGreater|isEqual) },
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, float32(math.NaN())}), graph.Floats([]float32{2})},
			Want: []*graph.Tensor{bools([]bool{false, true, true, false})},
		}, {
			Name: "int32 scalar",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-4, 3}, 2, 1), graph.FromSlice(graph.Int32, []int32{3}, []int64{}...)},
			Want: []*graph.Tensor{bools([]bool{false, true}, 2, 1)},
		}, {
			Name: "uint64 beyond int64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1 << 63}), graph.FromSlice(graph.Uint64, []uint64{1})},
			Want: []*graph.Tensor{bools([]bool{true})},
		}}
	},
}
