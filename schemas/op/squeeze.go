package op

import "mnnconv/graph"

// Squeeze is ONNX Squeeze.
var Squeeze = &Op{
	Name: "Squeeze", Since: 1,
	Doc:    "Removes the named axes, whose extents must be 1; all of extent 1 if none are given. Axes are an attribute before version 13.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"squeezed"}, Attrs: []string{"axes"},
	Infer: inferSqueeze,
	Eval: func(c *Call) error {
		x := c.Arg(0)
		list, given, err := c.list(1, "axes")
		if err != nil {
			return err
		}
		axes, err := axesOf(list, len(x.Shape))
		if err != nil {
			return err
		}
		drop := make([]bool, len(x.Shape))
		for _, i := range axes {
			if drop[i] = true; x.Shape[i] != 1 {
				return inputErrorf("axis %d of shape %v has not extent 1", i, x.Shape)
			}
		}
		shape := []int64{}
		for i, n := range x.Shape {
			if !drop[i] && (given || n != 1) {
				shape = append(shape, n)
			}
		}
		c.Set(0, x.Reshape(shape...))
		return nil
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2}, 1, 2, 1)
		return []Case{
			{Name: "all", In: []*graph.Tensor{x}, Want: []*graph.Tensor{x.Reshape(2)}},
			{Name: "negative axis", In: []*graph.Tensor{x, graph.Ints([]int64{-1})}, Want: []*graph.Tensor{x.Reshape(1, 2)}},
			{
				Name: "attribute", Version: 11, In: []*graph.Tensor{x}, Attrs: []graph.Attr{{Name: "axes", Value: []int64{0}}},
				Want: []*graph.Tensor{x.Reshape(2, 1)},
			},
			{Name: "to a scalar", In: []*graph.Tensor{graph.Ints([]int64{3}), graph.Ints([]int64{0})}, Want: []*graph.Tensor{graph.Scalar(3)}},
			{Name: "no axes", In: []*graph.Tensor{x, graph.Ints(nil)}, Want: []*graph.Tensor{x}},
		}
	},
}

func inferSqueeze(in *Inference) error {
	x := in.Type(0)
	list, given, known := in.list(1, "axes")
	if !x.Shape.Ranked() || !known {
		in.SetTensor(0, x.DType, nil)
		return nil
	}
	axes, err := axesOf(list, len(x.Shape))
	if err != nil {
		return err
	}
	drop := make([]bool, len(x.Shape))
	for _, i := range axes {
		drop[i] = true
		if _, err := in.agree("squeezed axis", x.Shape[i], graph.Const(1)); err != nil {
			return err
		}
	}
	shape := graph.Shape{}
	for i, d := range x.Shape {
		switch {
		case drop[i] || !given && d.IsConst(1):
		case !given && !isNotOne(d): // may be 1: the rank is known only by running
			in.SetTensor(0, x.DType, nil)
			return nil
		default:
			shape = append(shape, d)
		}
	}
	in.SetTensor(0, x.DType, shape)
	in.knowFirst()
	return nil
}

// isNotOne reports whether an extent is provably not 1.
func isNotOne(d graph.Dim) bool {
	n, ok := d.Int()
	return ok && n != 1 || d.Sub(graph.Const(2)).NonNegative()
}
