package op

import "mnnconv/graph"

// Identity is ONNX Identity: its input under another name.
var Identity = &Op{
	Name: "Identity", Since: 1,
	Doc:    "output = input: a tensor, sequence or optional. The data is shared.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Containers: true,
	Infer: func(in *Inference) error {
		in.Set(0, in.Type(0))
		in.knowFirst()
		return nil
	},
	Eval: func(c *Call) error {
		c.Set(0, c.Arg(0))
		return nil
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2}, 1, 2)
		sequence := &graph.Tensor{Kind: graph.SequenceKind, Elems: []*graph.Tensor{x}}
		return []Case{
			{Name: "float", In: []*graph.Tensor{x}, Want: []*graph.Tensor{x}},
			{Name: "int64 scalar", In: []*graph.Tensor{graph.Scalar(3)}, Want: []*graph.Tensor{graph.Scalar(3)}},
			{Name: "string", In: []*graph.Tensor{words("a", "b")}, Want: []*graph.Tensor{words("a", "b")}},
			{Name: "sequence", In: []*graph.Tensor{sequence}, Want: []*graph.Tensor{sequence}},
		}
	},
}
