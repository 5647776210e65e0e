package op

import "mnnconv/graph"

// Mul is ONNX Mul: element-wise product with broadcasting.
var Mul = &Op{
	Name: "Mul", Since: 7,
	Doc:    "C = A * B, element by element, with multidirectional broadcasting; integers wrap.",
	Inputs: []string{"A", "B"}, Outputs: []string{"C"},
	Infer: only(isNumber, inferBinary(graph.Dim.Mul)),
	Eval: func(c *Call) error {
		return evalBinary(c, arith{
			float: func(a, b float64) float64 { return a * b },
			int:   func(a, b int64) (int64, error) { return a * b, nil },
			uint:  func(a, b uint64) (uint64, error) { return a * b, nil },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "outer product",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2}, 2, 1), graph.Floats([]float32{3, 4, 5}, 1, 3)},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 4, 5, 6, 8, 10}, 2, 3)},
		}, {
			Name: "float16 rounds once",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1.0009765625, 300}), narrow(graph.Float16, []float32{1.0009765625, 300})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3c02, 0x7c00})},
		}, {
			Name: "int32",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-3, 1 << 30}), graph.FromSlice(graph.Int32, []int32{5, 4})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-15, 0})},
		}}
	},
}
