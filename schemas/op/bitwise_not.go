package op

import "mnnconv/graph"

// BitwiseNot is ONNX BitwiseNot: element-wise complement of bits.
var BitwiseNot = &Op{
	Name: "BitwiseNot", Since: 18,
	Doc:    "Y = ^X on the bits of integers, element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: only(isInteger, sameShape),
	Eval: func(c *Call) error {
		return evalUnary(c, unary{
			int:  func(x int64) int64 { return ^x },
			uint: func(x uint64) uint64 { return ^x },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "uint8",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{0, 0b1010}, 2, 1)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{255, 0b11110101}, 2, 1)},
		}, {
			Name: "int32",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{0, -6})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-1, 5})},
		}}
	},
}
