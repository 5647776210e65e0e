package op

import "mnnconv/graph"

// SequenceLength is ONNX SequenceLength.
var SequenceLength = &Op{
	Name: "SequenceLength", Since: 11,
	Doc:    "The number of tensors in a sequence, an int64 scalar.",
	Inputs: []string{"input_sequence"}, Outputs: []string{"length"},
	Containers: true,
	Infer: func(in *Inference) error {
		if _, err := in.sequence(); err != nil {
			return err
		}
		in.SetTensor(0, graph.Int64, graph.Shape{})
		return nil
	},
	Eval: func(c *Call) error {
		s, err := c.sequence()
		if err == nil {
			c.Set(0, graph.Scalar(int64(len(s.Elems))))
		}
		return err
	},
	Cases: func() []Case {
		a := graph.Ints([]int64{1})
		return []Case{
			{Name: "two", In: []*graph.Tensor{sequenceTensor(a, a)}, Want: []*graph.Tensor{graph.Scalar(2)}},
			{Name: "none", In: []*graph.Tensor{sequenceTensor()}, Want: []*graph.Tensor{graph.Scalar(0)}},
		}
	},
}
