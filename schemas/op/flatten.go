package op

import "mnnconv/graph"

// Flatten is ONNX Flatten.
var Flatten = &Op{
	Name: "Flatten", Since: 1,
	Doc:    "A matrix: the extents before axis (default 1) multiplied, and those from axis on.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"axis"},
	Infer: func(in *Inference) error {
		x := in.Type(0)
		if !x.Shape.Ranked() {
			in.SetTensor(0, x.DType, in.FreshShape("flatten", 2))
			return nil
		}
		axis, err := flattenAxis(in.Node, len(x.Shape))
		if err != nil {
			return err
		}
		in.SetTensor(0, x.DType, graph.Shape{x.Shape[:axis].Elements(), x.Shape[axis:].Elements()})
		in.knowFirst()
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		axis, err := flattenAxis(c.Node, len(x.Shape))
		if err != nil {
			return err
		}
		rows, err := graph.Elements(x.Shape[:axis])
		if err != nil {
			return inputErrorf("%v", err)
		}
		columns, err := graph.Elements(x.Shape[axis:])
		if err != nil {
			return inputErrorf("%v", err)
		}
		c.Set(0, x.Reshape(rows, columns))
		return nil
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2)
		axis := func(i int64) []graph.Attr { return []graph.Attr{{Name: "axis", Value: i}} }
		return []Case{
			{Name: "default", In: []*graph.Tensor{x}, Want: []*graph.Tensor{x.Reshape(2, 4)}},
			{Name: "axis 0", In: []*graph.Tensor{x}, Attrs: axis(0), Want: []*graph.Tensor{x.Reshape(1, 8)}},
			{Name: "negative axis", In: []*graph.Tensor{x}, Attrs: axis(-1), Want: []*graph.Tensor{x.Reshape(4, 2)}},
			{Name: "past the last axis", In: []*graph.Tensor{x}, Attrs: axis(3), Want: []*graph.Tensor{x.Reshape(8, 1)}},
			{Name: "no elements", In: []*graph.Tensor{graph.Ints(nil, 0, 3)}, Want: []*graph.Tensor{graph.Ints(nil, 0, 3)}},
		}
	},
}

// flattenAxis returns the axis of a Flatten node, which may be the rank itself.
func flattenAxis(n *graph.Node, rank int) (int, error) {
	axis := n.Int("axis", 1)
	if axis == int64(rank) {
		return rank, nil
	}
	return resolveAxis(axis, rank)
}
