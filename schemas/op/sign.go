package op

import (
	"math"

	"mnnconv/graph"
)

// Sign is ONNX Sign: element-wise sign.
var Sign = &Op{
	Name: "Sign", Since: 9,
	Doc:    "output = 1, 0 or -1 as input is above, equal to or below 0, element by element; NaN stays.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Infer: only(isNumber, sameShape),
	Eval: func(c *Call) error {
		return evalUnary(c, unary{
			float: func(x float64) float64 {
				switch {
				case x > 0:
					return 1
				case x < 0:
					return -1
				case x == 0:
					return 0
				}
				return x
			},
			int:  func(x int64) int64 { return max(-1, min(1, x)) },
			uint: func(x uint64) uint64 { return min(1, x) },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{3, -0.5, float32(math.Copysign(0, -1))})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, -1, 0})},
		}, {
			Name: "int32",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-7, 0, 9})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-1, 0, 1})},
		}, {
			Name: "uint8",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{0, 200}, 2, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{0, 1}, 2, 1)},
		}}
	},
}
