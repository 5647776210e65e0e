package op

import "mnnconv/graph"

// BitwiseAnd is ONNX BitwiseAnd: element-wise and of bits with broadcasting.
var BitwiseAnd = &Op{
	Name: "BitwiseAnd", Since: 18,
	Doc:    "C = A & B on the bits of integers, element by element, with multidirectional broadcasting.",
	Inputs: []string{"A", "B"}, Outputs: []string{"C"},
	Infer: only(isInteger, inferBinary(nil)),
	Eval: func(c *Call) error {
		return evalBinary(c, arith{
			int:  func(a, b int64) (int64, error) { return a & b, nil },
			uint: func(a, b uint64) (uint64, error) { return a & b, nil },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "uint8 with a scalar",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{0b1100, 0b1010}), graph.FromSlice(graph.Uint8, []uint8{0b0110}, []int64{}...)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{0b0100, 0b0010})},
		}, {
			Name: "int8",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{-1, -128}), graph.FromSlice(graph.Int8, []int8{5, 127})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{5, 0})},
		}}
	},
}
