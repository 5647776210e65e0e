package op

import "mnnconv/graph"

// Concat is ONNX Concat.
var Concat = &Op{
	Name: "Concat", Since: 4,
	Doc:    "The inputs one after the other along axis; all other extents are equal.",
	Inputs: []string{"inputs..."}, Outputs: []string{"concat_result"}, Attrs: []string{"axis"},
	Infer: func(in *Inference) error {
		types := make([]graph.Type, len(in.Node.Inputs))
		for i := range types {
			types[i] = in.Type(i)
		}
		t, err := in.concat(types, in.Node.Int("axis", 0))
		if err != nil {
			return err
		}
		in.Set(0, t)
		in.knowMoved(evalConcat, func(int) bool { return true })
		return nil
	},
	Eval: evalConcat,
	Cases: func() []Case {
		a, b := graph.Ints([]int64{1, 2, 3, 4}, 2, 2), graph.Ints([]int64{5, 6}, 2, 1)
		axis := func(i int64) []graph.Attr { return []graph.Attr{{Name: "axis", Value: i}} }
		return []Case{{
			Name: "columns", In: []*graph.Tensor{a, b}, Attrs: axis(-1),
			Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 5, 3, 4, 6}, 2, 3)},
		}, {
			Name: "rows", In: []*graph.Tensor{a, a}, Attrs: axis(0),
			Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 4, 1, 2, 3, 4}, 4, 2)},
		}, {
			Name: "one without elements", In: []*graph.Tensor{graph.Ints(nil, 2, 0), b}, Attrs: axis(1),
			Want: []*graph.Tensor{b},
		}, {
			Name: "halves", Attrs: axis(0),
			In:   []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{1}), graph.FromSlice(graph.Float16, []uint16{2, 3})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{1, 2, 3})},
		}, {
			Name: "strings", In: []*graph.Tensor{words("a"), words("b")}, Attrs: axis(0), Want: []*graph.Tensor{words("a", "b")},
		}}
	},
}

func evalConcat(c *Call) error { return c.concat(c.In, c.Node.Int("axis", 0)) }

// concat joins tensors along an axis into output 0.
func (c *Call) concat(parts []*graph.Tensor, axis int64) error {
	if len(parts) == 0 {
		return inputErrorf("nothing to concatenate")
	}
	first := parts[0]
	k, err := resolveAxis(axis, len(first.Shape))
	if err != nil {
		return err
	}
	shape := append([]int64{}, first.Shape...)
	for i, p := range parts[1:] {
		same := len(p.Shape) == len(shape) && p.DType == first.DType
		for d := 0; same && d < len(shape); d++ {
			same = d == k || p.Shape[d] == shape[d]
		}
		if !same {
			return inputErrorf("%s and %s (input %d) cannot be concatenated along axis %d", first.Type(), p.Type(), i+1, k)
		}
		if shape[k] += p.Shape[k]; shape[k] < 0 {
			return inputErrorf("the extent along axis %d overflows", k)
		}
	}
	out, err := c.New(0, first.DType, shape...)
	if err != nil || out.Len() == 0 {
		return err
	}
	outer, row := count(shape[:k]), count(shape[k:])
	at := 0
	for _, p := range parts {
		m, err := newMover(out, p)
		if err != nil {
			return err
		}
		run := count(p.Shape[k:])
		for i := range outer {
			m.copy(i*row+at, i*run, run)
		}
		at += run
	}
	return nil
}

// concat returns the type of tensors joined along an axis.
func (in *Inference) concat(types []graph.Type, axis int64) (graph.Type, error) {
	if len(types) == 0 {
		return graph.Type{}, inputErrorf("nothing to concatenate")
	}
	out := graph.Type{DType: types[0].DType, Shape: append(graph.Shape(nil), types[0].Shape...)}
	for i, t := range types[1:] {
		if t.DType.Valid() && out.DType.Valid() && t.DType != out.DType {
			return out, in.Errorf("input %d is %s, the ones before are %s", i+1, t.DType, out.DType)
		}
		if !out.DType.Valid() {
			out.DType = t.DType
		}
	}
	for i, t := range types {
		if !t.Shape.Ranked() {
			out.Shape = nil
			return out, nil
		}
		if len(t.Shape) != len(types[0].Shape) {
			return out, in.Errorf("input %d has shape %s, input 0 %s", i, t.Shape, types[0].Shape)
		}
	}
	k, err := resolveAxis(axis, len(types[0].Shape))
	if err != nil {
		return out, err
	}
	for _, t := range types[1:] {
		for d := range out.Shape {
			if d == k {
				out.Shape[d] = out.Shape[d].Add(t.Shape[d])
			} else if out.Shape[d], err = in.agree("inputs of Concat", out.Shape[d], t.Shape[d]); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}
