package op

import "mnnconv/graph"

// Hardmax is ONNX Hardmax.
var Hardmax = &Op{
	Name: "Hardmax", Since: 1,
	Doc: "1 at the first largest element along axis, else 0. Before opset 13, axis (1 by default) cuts the shape in two and all of the second part counts " +
		"as one axis; since then it names the one axis (the last by default).",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Attrs: []string{"axis"},
	Infer: inferSoftmax,
	Eval: func(c *Call) error {
		return evalSoftmax(c, func(x []float64) {
			found := false
			for i, v := range x { // less the maximum
				if x[i] = 0; v == 0 && !found {
					x[i], found = 1, true
				}
			}
		})
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{3, 3, 1, 2, 0, 5}, 2, 3)
		return []Case{
			{Name: "last axis", In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Floats([]float32{1, 0, 0, 0, 0, 1}, 2, 3)}},
			{
				Name: "first axis", Attrs: []graph.Attr{{Name: "axis", Value: int64(0)}},
				In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Floats([]float32{1, 1, 0, 0, 0, 1}, 2, 3)},
			},
			{
				Name: "opset 11 joins trailing axes", Version: 11,
				In: []*graph.Tensor{x.Reshape(1, 2, 3)}, Want: []*graph.Tensor{graph.Floats([]float32{0, 0, 0, 0, 0, 1}, 1, 2, 3)},
			},
		}
	},
}
