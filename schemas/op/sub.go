package op

import "mnnconv/graph"

// Sub is ONNX Sub: element-wise difference with broadcasting.
var Sub = &Op{
	Name: "Sub", Since: 7,
	Doc:    "C = A - B, element by element, with multidirectional broadcasting; integers wrap.",
	Inputs: []string{"A", "B"}, Outputs: []string{"C"},
	Infer: only(isNumber, inferBinary(graph.Dim.Sub)),
	Eval: func(c *Call) error {
		return evalBinary(c, arith{
			float: func(a, b float64) float64 { return a - b },
			int:   func(a, b int64) (int64, error) { return a - b, nil },
			uint:  func(a, b uint64) (uint64, error) { return a - b, nil },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "broadcast column",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 2, 2), graph.Floats([]float32{1, 10}, 2, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 1, -7, -6}, 2, 2)},
		}, {
			Name: "int64",
			In:   []*graph.Tensor{graph.Ints([]int64{7, -2}), graph.Scalar(5)},
			Want: []*graph.Tensor{graph.Ints([]int64{2, -7})},
		}, {
			Name: "uint8 wraps",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{1}), graph.FromSlice(graph.Uint8, []uint8{2})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{255})},
		}}
	},
}
