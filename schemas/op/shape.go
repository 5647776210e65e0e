package op

import "mnnconv/graph"

// Shape is ONNX Shape.
var Shape = &Op{
	Name: "Shape", Since: 1,
	Doc:    "The input's extents as int64, from axis start up to end (exclusive), both clamped; negative ones count from the end.",
	Inputs: []string{"data"}, Outputs: []string{"shape"}, Attrs: []string{"start", "end"},
	Infer: func(in *Inference) error {
		s := in.Type(0).Shape
		if !s.Ranked() {
			in.SetTensor(0, graph.Int64, in.FreshShape("rank", 1))
			return nil
		}
		start, end := shapeRange(in.Node, len(s))
		in.SetTensor(0, graph.Int64, graph.ShapeOf(end-start))
		in.Know(0, append([]graph.Dim{}, s[start:end]...))
		return nil
	},
	Eval: func(c *Call) error {
		s := c.Arg(0).Shape
		start, end := shapeRange(c.Node, len(s))
		c.Set(0, graph.Ints(s[start:end]))
		return nil
	},
	Cases: func() []Case {
		x := []*graph.Tensor{graph.Floats(make([]float32, 24), 2, 3, 4)}
		attrs := func(start, end int64) []graph.Attr {
			return []graph.Attr{{Name: "start", Value: start}, {Name: "end", Value: end}}
		}
		return []Case{
			{Name: "all", In: x, Want: []*graph.Tensor{graph.Ints([]int64{2, 3, 4})}},
			{Name: "last", In: x, Attrs: []graph.Attr{{Name: "start", Value: int64(-1)}}, Want: []*graph.Tensor{graph.Ints([]int64{4})}},
			{Name: "clamped", In: x, Attrs: attrs(-9, 2), Want: []*graph.Tensor{graph.Ints([]int64{2, 3})}},
			{Name: "start after end", In: x, Attrs: attrs(2, 1), Want: []*graph.Tensor{graph.Ints(nil)}},
			{Name: "scalar", In: []*graph.Tensor{graph.Scalar(5)}, Want: []*graph.Tensor{graph.Ints(nil)}},
		}
	},
}

// shapeRange returns the axes that a Shape node lists.
func shapeRange(n *graph.Node, rank int) (start, end int) {
	s, count := sliceRange(n.Int("start", 0), n.Int("end", int64(rank)), 1, int64(rank))
	return int(s), int(s + count)
}
