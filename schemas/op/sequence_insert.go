package op

import (
	"slices"

	"mnnconv/graph"
)

// SequenceInsert is ONNX SequenceInsert.
var SequenceInsert = &Op{
	Name: "SequenceInsert", Since: 11,
	Doc:    "The sequence with a tensor inserted before position (default: at the end); a negative position counts from the end.",
	Inputs: []string{"input_sequence", "tensor", "position?"}, Outputs: []string{"output_sequence"},
	Containers: true,
	Infer: func(in *Inference) error {
		e, err := in.sequence()
		if err != nil {
			return err
		}
		t := in.Type(1)
		if t.Kind != graph.TensorKind {
			return in.Errorf("input 1 is %s, want a tensor", t)
		}
		if e != nil {
			if t, err = in.either(*e, t); err != nil {
				return err
			}
		} else if d := in.Type(0).Elem; d != nil && d.DType.Valid() && t.DType.Valid() && d.DType != t.DType {
			return in.Errorf("a %s tensor for a sequence of %s", t.DType, d.DType)
		}
		in.Set(0, sequenceOf(t))
		return nil
	},
	Eval: func(c *Call) error {
		s, err := c.sequence()
		if err != nil {
			return err
		}
		x := c.Arg(1)
		if x.Kind != graph.TensorKind || len(s.Elems) > 0 && s.Elems[0].DType != x.DType {
			return inputErrorf("input 1 is %s, which does not fit the sequence", x.Type())
		}
		n := len(s.Elems)
		at, err := c.position(2, n, n, n)
		if err != nil {
			return err
		}
		c.Set(0, sequenceTensor(slices.Insert(slices.Clone(s.Elems), at, x)...))
		return nil
	},
	Cases: func() []Case {
		a, b, x := graph.Ints([]int64{1}), graph.Ints([]int64{2, 3}), graph.Ints([]int64{4})
		return []Case{
			{Name: "at the end", In: []*graph.Tensor{sequenceTensor(a, b), x}, Want: []*graph.Tensor{sequenceTensor(a, b, x)}},
			{Name: "at the front", In: []*graph.Tensor{sequenceTensor(a, b), x, graph.Scalar(-2)}, Want: []*graph.Tensor{sequenceTensor(x, a, b)}},
			{Name: "into an empty one", In: []*graph.Tensor{sequenceTensor(), x, graph.Scalar(0)}, Want: []*graph.Tensor{sequenceTensor(x)}},
		}
	},
}
