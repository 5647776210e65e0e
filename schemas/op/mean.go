package op

import "mnnconv/graph"

// Mean is ONNX Mean: element-wise mean of any number of tensors.
var Mean = &Op{
	Name: "Mean", Since: 8,
	Doc:    "The mean of the inputs, element by element, with multidirectional broadcasting, in float64 and rounded once.",
	Inputs: []string{"data_0..."}, Outputs: []string{"mean"},
	Infer: only(isReal, inferElementwise(nil)),
	Eval: func(c *Call) error {
		n := float64(len(c.In))
		return evalVariadic(c,
			arith{float: func(a, b float64) float64 { return a + b }},
			func(sum float64) float64 { return sum / n })
	},
	Cases: func() []Case {
		return []Case{{
			Name: "three inputs",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2}), graph.Floats([]float32{4, 5}), graph.Floats([]float32{1, 8})},
			Want: []*graph.Tensor{graph.Floats([]float32{2, 5})},
		}, {
			Name: "broadcast float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1, 2, 3}), narrow(graph.Float16, []float32{65504}, 1, 1)},
			Want: []*graph.Tensor{narrow(graph.Float16, []float32{32752.5, 32753, 32753.5}, 1, 3)},
		}}
	},
}
