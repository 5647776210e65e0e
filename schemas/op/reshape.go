package op

import "mnnconv/graph"

// Reshape is ONNX Reshape.
var Reshape = &Op{
	Name: "Reshape", Since: 5,
	Doc: "The same elements in another shape. One extent of -1 takes what the others leave; 0 keeps the input's extent of " +
		"that axis unless allowzero is set. Kept extents cancel out, so that -1 is determined also where one of them is 0.",
	Inputs: []string{"data", "shape"}, Outputs: []string{"reshaped"}, Attrs: []string{"allowzero"},
	Infer: inferReshape,
	Eval: func(c *Call) error {
		x := c.Arg(0)
		target, err := c.Arg(1).Int64s()
		if err != nil {
			return err
		}
		shape, err := reshaped(x.Shape, target, c.Node.Int("allowzero", 0) != 0)
		if err != nil {
			return err
		}
		c.Set(0, x.Reshape(shape...))
		return nil
	},
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2, 3, 4, 5, 6}, 2, 3)
		to := func(shape ...int64) []*graph.Tensor { return []*graph.Tensor{x, graph.Ints(shape)} }
		return []Case{
			{Name: "minus one", In: to(-1, 2), Want: []*graph.Tensor{x.Reshape(3, 2)}},
			{Name: "zero keeps", In: to(0, -1, 1), Want: []*graph.Tensor{x.Reshape(2, 3, 1)}},
			{Name: "to a scalar", In: []*graph.Tensor{graph.Ints([]int64{7}), graph.Ints(nil)}, Want: []*graph.Tensor{graph.Scalar(7)}},
			{
				Name: "allowzero", Attrs: []graph.Attr{{Name: "allowzero", Value: int64(1)}},
				In:   []*graph.Tensor{graph.Floats(nil, 3, 0), graph.Ints([]int64{0, 4})},
				Want: []*graph.Tensor{graph.Floats(nil, 0, 4)},
			}, {
				Name: "kept zero cancels",
				In:   []*graph.Tensor{graph.Floats(nil, 0, 3, 4), graph.Ints([]int64{0, -1, 2})},
				Want: []*graph.Tensor{graph.Floats(nil, 0, 6, 2)},
			}, {
				Name: "packed", In: []*graph.Tensor{{DType: graph.Int4, Shape: []int64{4}, Data: []byte{0x21, 0x43}}, graph.Ints([]int64{2, 2})},
				Want: []*graph.Tensor{{DType: graph.Int4, Shape: []int64{2, 2}, Data: []byte{0x21, 0x43}}},
			},
		}
	},
}

// reshaped resolves a Reshape target.
func reshaped(shape, target []int64, allowZero bool) ([]int64, error) {
	out := make([]int64, len(target))
	from, to := []int64{}, []int64{} // extents that are not kept
	open := -1
	for i, n := range target {
		switch {
		case n == -1 && open >= 0:
			return nil, inputErrorf("target shape %v has more than one -1", target)
		case n == -1:
			open = i
		case n < 0:
			return nil, inputErrorf("target shape %v has a negative extent", target)
		case n == 0 && !allowZero:
			if i >= len(shape) {
				return nil, inputErrorf("target shape %v keeps axis %d, the input has shape %v", target, i, shape)
			}
			out[i] = shape[i]
		default:
			out[i] = n
			to = append(to, n)
		}
	}
	for i, n := range shape {
		if i >= len(target) || target[i] != 0 || allowZero {
			from = append(from, n)
		}
	}
	have, err := graph.Elements(from)
	if err != nil {
		return nil, inputErrorf("%v", err)
	}
	want, err := graph.Elements(to)
	if err != nil {
		return nil, inputErrorf("%v", err)
	}
	if open >= 0 {
		if want == 0 || have%want != 0 {
			return nil, inputErrorf("shape %v cannot become %v: no extent fits -1", shape, target)
		}
		out[open] = have / want
	}
	before, err := graph.Elements(shape)
	if err != nil {
		return nil, inputErrorf("%v", err)
	}
	if after, err := graph.Elements(out); err != nil || before != after {
		return nil, inputErrorf("shape %v cannot become %v: %d and %d elements", shape, target, before, after)
	}
	return out, nil
}

// inferReshape follows reshaped with dims. A symbol among the target's elements
// is taken as an extent, that is, neither -1 nor a 0 that keeps. An element that
// only running tells is determined by the others as -1 is, unless one of them
// may be 0.
func inferReshape(in *Inference) error {
	x := in.Type(0)
	target, ok := in.partial(1)
	if !ok {
		in.SetTensor(0, x.DType, nil)
		return nil
	}
	allowZero := in.Node.Int("allowzero", 0) != 0
	out := make(graph.Shape, len(target))
	kept := make([]bool, max(len(target), len(x.Shape)))
	rest := graph.Const(1) // the product of what is neither open nor kept
	var open []int
	minusOne, positive := false, true
	for i, d := range target {
		n, fixed := int64(0), false
		if d != nil {
			n, fixed = d.Int()
		}
		switch {
		case d == nil:
			open = append(open, i)
		case fixed && n == -1 && minusOne:
			return inputErrorf("the target shape has more than one -1")
		case fixed && n == -1:
			open, minusOne = append(open, i), true
		case fixed && n < 0:
			return inputErrorf("the target shape has the extent %d", n)
		case fixed && n == 0 && !allowZero && !x.Shape.Ranked():
			out[i] = in.Fresh("reshape")
		case fixed && n == 0 && !allowZero && i >= len(x.Shape):
			return inputErrorf("the target shape keeps axis %d, the input has shape %s", i, x.Shape)
		case fixed && n == 0 && !allowZero:
			out[i], kept[i] = x.Shape[i], true
			positive = positive && isPositive(out[i])
		default:
			out[i], rest = *d, rest.Mul(*d)
		}
	}
	have := graph.Const(1) // the product of what is not kept of the input
	for i, d := range x.Shape {
		if !kept[i] {
			have = have.Mul(d)
		}
	}
	for _, i := range open {
		out[i] = in.Fresh("reshape")
	}
	switch {
	case !x.Shape.Ranked():
	case len(open) == 0:
		if n, ok := x.Shape.Elements().Sub(out.Elements()).Int(); ok && n != 0 {
			return in.Errorf("shape %s cannot become %s: %s and %s elements", x.Shape, out, x.Shape.Elements(), out.Elements())
		}
	case len(open) == 1 && (minusOne || positive && isPositive(rest)):
		h, hok := have.Int()
		r, rok := rest.Int()
		if rok && r == 0 || hok && rok && h%r != 0 {
			return in.Errorf("shape %s cannot become %s: no extent fits axis %d", x.Shape, out, open[0])
		}
		out[open[0]] = have.Div(rest)
	}
	in.SetTensor(0, x.DType, out)
	in.knowFirst()
	return nil
}

// isPositive reports whether an extent is provably not 0.
func isPositive(d graph.Dim) bool { return d.Sub(graph.Const(1)).NonNegative() }
