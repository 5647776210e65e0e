package op

import "mnnconv/graph"

// Size is ONNX Size.
var Size = &Op{
	Name: "Size", Since: 1,
	Doc:    "The input's number of elements, an int64 scalar.",
	Inputs: []string{"data"}, Outputs: []string{"size"},
	Infer: func(in *Inference) error {
		in.SetTensor(0, graph.Int64, graph.Shape{})
		if s := in.Type(0).Shape; s.Ranked() {
			in.Know(0, []graph.Dim{s.Elements()})
		}
		return nil
	},
	Eval: func(c *Call) error {
		c.Set(0, graph.Scalar(int64(c.Arg(0).Len())))
		return nil
	},
	Cases: func() []Case {
		return []Case{
			{Name: "matrix", In: []*graph.Tensor{graph.Floats(make([]float32, 6), 2, 3)}, Want: []*graph.Tensor{graph.Scalar(6)}},
			{Name: "scalar", In: []*graph.Tensor{graph.Scalar(9)}, Want: []*graph.Tensor{graph.Scalar(1)}},
			{Name: "no elements", In: []*graph.Tensor{graph.Ints(nil, 3, 0)}, Want: []*graph.Tensor{graph.Scalar(0)}},
		}
	},
}
