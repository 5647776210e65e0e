package op

import "mnnconv/graph"

// Add is ONNX Add: element-wise sum with broadcasting.
var Add = &Op{
	Name: "Add", Since: 7,
	Doc:    "C = A + B, element by element, with multidirectional broadcasting; integers wrap.",
	Inputs: []string{"A", "B"}, Outputs: []string{"C"},
	Infer: inferBinary(graph.Dim.Add),
	Eval: func(c *Call) error {
		return evalBinary(c, arith{
			float: func(a, b float64) float64 { return a + b },
			int:   func(a, b int64) (int64, error) { return a + b, nil },
			uint:  func(a, b uint64) (uint64, error) { return a + b, nil },
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "broadcast row",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 2, 2), graph.Floats([]float32{10, 20})},
			Want: []*graph.Tensor{graph.Floats([]float32{11, 22, 13, 24}, 2, 2)},
		}, {
			Name: "int64 scalar",
			In:   []*graph.Tensor{graph.Ints([]int64{1, -2}), graph.Scalar(5)},
			Want: []*graph.Tensor{graph.Ints([]int64{6, 3})},
		}, {
			Name: "no elements",
			In:   []*graph.Tensor{graph.Floats(nil, 0, 3), graph.Floats([]float32{1, 2, 3})},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 3)},
		}}
	},
}
