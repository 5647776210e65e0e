package op

import "mnnconv/graph"

// Sum is ONNX Sum: element-wise sum of any number of tensors.
var Sum = &Op{
	Name: "Sum", Since: 8,
	Doc:    "The sum of the inputs, element by element, with multidirectional broadcasting, in float64 and rounded once.",
	Inputs: []string{"data_0..."}, Outputs: []string{"sum"},
	Infer: only(isReal, inferElementwise(nil)),
	Eval: func(c *Call) error {
		return evalVariadic(c, arith{float: func(a, b float64) float64 { return a + b }}, nil)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "three inputs",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2}), graph.Floats([]float32{10, 20}, 2, 1), graph.Floats([]float32{100}, []int64{}...)},
			Want: []*graph.Tensor{graph.Floats([]float32{111, 112, 121, 122}, 2, 2)},
		}, {
			Name: "one input",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2})},
		}, {
			Name: "bfloat16 rounds once",
			In: []*graph.Tensor{
				narrow(graph.BFloat16, []float32{256}), narrow(graph.BFloat16, []float32{1}), narrow(graph.BFloat16, []float32{1}),
			},
			Want: []*graph.Tensor{narrow(graph.BFloat16, []float32{258})},
		}}
	},
}
