package op

import (
	"slices"

	"mnnconv/graph"
)

// SequenceErase is ONNX SequenceErase.
var SequenceErase = &Op{
	Name: "SequenceErase", Since: 11,
	Doc:    "The sequence without the tensor at position (default: the last); a negative position counts from the end.",
	Inputs: []string{"input_sequence", "position?"}, Outputs: []string{"output_sequence"},
	Containers: true,
	Infer: func(in *Inference) error {
		if _, err := in.sequence(); err != nil {
			return err
		}
		in.Set(0, in.Type(0))
		return nil
	},
	Eval: func(c *Call) error {
		s, err := c.sequence()
		if err != nil {
			return err
		}
		last := len(s.Elems) - 1
		at, err := c.position(1, len(s.Elems), last, last)
		if err != nil {
			return err
		}
		c.Set(0, sequenceTensor(slices.Delete(slices.Clone(s.Elems), at, at+1)...))
		return nil
	},
	Cases: func() []Case {
		a, b := graph.Ints([]int64{1}), graph.Ints([]int64{2, 3})
		return []Case{
			{Name: "last", In: []*graph.Tensor{sequenceTensor(a, b)}, Want: []*graph.Tensor{sequenceTensor(a)}},
			{Name: "negative", In: []*graph.Tensor{sequenceTensor(a, b), graph.Scalar(-2)}, Want: []*graph.Tensor{sequenceTensor(b)}},
		}
	},
}
