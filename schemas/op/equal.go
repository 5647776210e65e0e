package op

import (
	"math"

	"mnnconv/graph"
)

// Equal is ONNX Equal: element-wise comparison with broadcasting.
var Equal = &Op{
	Name: "Equal", Since: 7,
	Doc:    "C = A == B, element by element, with multidirectional broadcasting; false where either is NaN.",
	Inputs: []string{"A", "B"}, Outputs: []string{"C"},
	Infer: inferCompare(isEqual),
	Eval:  func(c *Call) error { return evalCompare(c, isEqual) },
	Cases: func() []Case {
		nan := float32(math.NaN())
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, nan, 0}), graph.Floats([]float32{1, 3, nan, float32(math.Copysign(0, -1))})},
			Want: []*graph.Tensor{bools([]bool{true, false, false, true})},
		}, {
			Name: "int64 matrix",
			In:   []*graph.Tensor{graph.Ints([]int64{1, 2}, 2, 1), graph.Ints([]int64{1, 2})},
			Want: []*graph.Tensor{bools([]bool{true, false, false, true}, 2, 2)},
		}, {
			Name: "bool",
			In:   []*graph.Tensor{bools([]bool{true, false}), bools([]bool{true, true})},
			Want: []*graph.Tensor{bools([]bool{true, false})},
		}, {
			Name: "string",
			In:   []*graph.Tensor{words("a", "b"), words("a", "B")},
			Want: []*graph.Tensor{bools([]bool{true, false})},
		}}
	},
}
