package op

import "mnnconv/graph"

// ConcatFromSequence is ONNX ConcatFromSequence.
var ConcatFromSequence = &Op{
	Name: "ConcatFromSequence", Since: 11,
	Doc:    "The tensors of a sequence one after the other along axis, or stacked along a new one (new_axis=1).",
	Inputs: []string{"input_sequence"}, Outputs: []string{"concat_result"}, Attrs: []string{"axis", "new_axis"},
	Containers: true,
	Infer: func(in *Inference) error {
		e, err := in.sequence()
		if err != nil {
			return err
		}
		t := in.element(e)
		axis := in.Node.Int("axis", 0)
		switch {
		case !t.Shape.Ranked():
		case in.Node.Int("new_axis", 0) != 0:
			t.Shape, err = withAxes(t.Shape, []int64{axis}, in.Fresh("stack"))
		default:
			var k int
			if k, err = resolveAxis(axis, len(t.Shape)); err == nil {
				t.Shape[k] = in.Fresh("concat")
			}
		}
		in.Set(0, t)
		return err
	},
	Eval: func(c *Call) error {
		s, err := c.sequence()
		if err != nil {
			return err
		}
		axis := c.Node.Int("axis", 0)
		if c.Node.Int("new_axis", 0) == 0 {
			return c.concat(s.Elems, axis)
		}
		parts := make([]*graph.Tensor, len(s.Elems))
		for i, t := range s.Elems {
			shape, err := withAxes(t.Shape, []int64{axis}, 1)
			if err != nil {
				return err
			}
			parts[i] = t.Reshape(shape...)
		}
		return c.concat(parts, axis)
	},
	Cases: func() []Case {
		a, b := graph.Ints([]int64{1, 2}), graph.Ints([]int64{3, 4})
		attrs := func(axis, newAxis int64) []graph.Attr {
			return []graph.Attr{{Name: "axis", Value: axis}, {Name: "new_axis", Value: newAxis}}
		}
		in := []*graph.Tensor{sequenceTensor(a, graph.Ints(nil), b)}
		return []Case{
			{Name: "along axis 0", In: in, Attrs: attrs(0, 0), Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 4})}},
			{Name: "stacked", In: []*graph.Tensor{sequenceTensor(a, b)}, Attrs: attrs(0, 1), Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 4}, 2, 2)}},
			{Name: "stacked last", In: []*graph.Tensor{sequenceTensor(a, b)}, Attrs: attrs(-1, 1), Want: []*graph.Tensor{graph.Ints([]int64{1, 3, 2, 4}, 2, 2)}},
		}
	},
}
