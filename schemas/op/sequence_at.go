package op

import "mnnconv/graph"

// SequenceAt is ONNX SequenceAt.
var SequenceAt = &Op{
	Name: "SequenceAt", Since: 11,
	Doc:    "The tensor at position of a sequence; a negative position counts from the end.",
	Inputs: []string{"input_sequence", "position"}, Outputs: []string{"tensor"},
	Containers: true,
	Infer: func(in *Inference) error {
		e, err := in.sequence()
		if err == nil {
			in.Set(0, in.element(e))
		}
		return err
	},
	Eval: func(c *Call) error {
		s, err := c.sequence()
		if err != nil {
			return err
		}
		at, err := c.position(1, len(s.Elems), 0, len(s.Elems)-1)
		if err != nil {
			return err
		}
		c.Set(0, s.Elems[at])
		return nil
	},
	Cases: func() []Case {
		a, b := graph.Ints([]int64{1}), graph.Ints([]int64{2, 3}, 1, 2)
		return []Case{
			{Name: "first", In: []*graph.Tensor{sequenceTensor(a, b), graph.Scalar(0)}, Want: []*graph.Tensor{a}},
			{Name: "last", In: []*graph.Tensor{sequenceTensor(a, b), graph.FromSlice(graph.Int32, []int32{-1})}, Want: []*graph.Tensor{b}},
		}
	},
}
