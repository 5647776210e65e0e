package op

import "mnnconv/graph"

// Split is ONNX Split.
var Split = &Op{
	Name: "Split", Since: 2,
	Doc: "Cuts the input along axis (default 0) into parts of the given sizes (attribute or, since version 13, input split); " +
		"without sizes into equal parts, one an output, the last smaller where it does not come out even (an error before version 18).",
	Inputs: []string{"input", "split?"}, Outputs: []string{"outputs..."}, Attrs: []string{"axis", "split", "num_outputs"},
	Infer: inferSplit,
	Eval:  evalSplit,
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2, 3, 4, 5, 6}, 2, 3)
		vector := graph.Ints([]int64{1, 2, 3, 4, 5})
		axis := graph.Attr{Name: "axis", Value: int64(-1)}
		parts := func(sizes ...int64) []*graph.Tensor {
			out := make([]*graph.Tensor, len(sizes))
			at := int64(1)
			for i, n := range sizes {
				v := make([]int64, n)
				for k := range v {
					v[k] = at
					at++
				}
				out[i] = graph.Ints(v)
			}
			return out
		}
		return []Case{{
			Name: "columns", In: []*graph.Tensor{x, graph.Ints([]int64{1, 2})}, Attrs: []graph.Attr{axis},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 4}, 2, 1), graph.Ints([]int64{2, 3, 5, 6}, 2, 2)},
		}, {
			Name: "equal", Version: 13, In: []*graph.Tensor{x},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 3}, 1, 3), graph.Ints([]int64{4, 5, 6}, 1, 3)},
		}, {
			Name: "attribute", Version: 11, In: []*graph.Tensor{vector}, Attrs: []graph.Attr{{Name: "split", Value: []int64{0, 5}}},
			Want: parts(0, 5),
		}, {
			Name: "uneven", In: []*graph.Tensor{vector}, Attrs: []graph.Attr{{Name: "num_outputs", Value: int64(2)}},
			Want: parts(3, 2),
		}, {
			Name: "one not wanted", In: []*graph.Tensor{vector, graph.Ints([]int64{2, 3})},
			Want: []*graph.Tensor{nil, graph.Ints([]int64{3, 4, 5})},
		}}
	},
}

func evalSplit(c *Call) error {
	x := c.Arg(0)
	k, err := resolveAxis(c.Node.Int("axis", 0), len(x.Shape))
	if err != nil {
		return err
	}
	sizes, given, err := c.list(1, "split")
	if err != nil {
		return err
	}
	if !given {
		if sizes, err = equalParts(c.Node, x.Shape[k]); err != nil {
			return err
		}
	}
	if err := sumsTo(sizes, len(c.Node.Outputs), x.Shape[k]); err != nil {
		return err
	}
	at := int64(0)
	for i, n := range sizes {
		if c.Node.Outputs[i] != nil {
			part, err := partOf(x, k, at, n)
			if err != nil {
				return err
			}
			c.Set(i, part)
		}
		at += n
	}
	return nil
}

// equalParts divides an extent among the node's outputs.
func equalParts(n *graph.Node, extent int64) ([]int64, error) {
	parts := int64(len(n.Outputs))
	if want := n.Int("num_outputs", parts); want != parts || parts == 0 {
		return nil, inputErrorf("num_outputs is %d, the node has %d outputs", want, parts)
	}
	size := extent/parts + min(1, extent%parts)
	if n.Version < 18 && extent%parts != 0 {
		return nil, inputErrorf("extent %d cannot be split into %d equal parts", extent, parts)
	}
	sizes := make([]int64, parts)
	for i := range sizes {
		sizes[i] = min(size, extent)
		extent -= sizes[i]
	}
	return sizes, nil
}

// sumsTo returns an error unless there is a size for each output and they add
// up to the extent.
func sumsTo(sizes []int64, outputs int, extent int64) error {
	if len(sizes) != outputs {
		return inputErrorf("sizes %v for %d outputs", sizes, outputs)
	}
	left := extent
	for _, n := range sizes {
		if n < 0 || n > left {
			return inputErrorf("sizes %v of an extent of %d", sizes, extent)
		}
		left -= n
	}
	if left != 0 {
		return inputErrorf("sizes %v of an extent of %d", sizes, extent)
	}
	return nil
}

func inferSplit(in *Inference) error {
	x := in.Type(0)
	parts := len(in.Node.Outputs)
	if !x.Shape.Ranked() {
		for i := range parts {
			in.SetTensor(i, x.DType, nil)
		}
		return nil
	}
	k, err := resolveAxis(in.Node.Int("axis", 0), len(x.Shape))
	if err != nil {
		return err
	}
	sizes, err := in.splitSizes(x.Shape[k])
	if err != nil {
		return err
	}
	for i, d := range sizes {
		shape := append(graph.Shape{}, x.Shape...)
		shape[k] = d
		in.SetTensor(i, x.DType, shape)
	}
	in.knowMoved(evalSplit, first)
	return nil
}

// splitSizes returns one extent for each output.
func (in *Inference) splitSizes(extent graph.Dim) ([]graph.Dim, error) {
	parts := len(in.Node.Outputs)
	total, fixed := extent.Int()
	sizes := dimsOf(in.Node.Ints("split"))
	known := in.Node.Has("split")
	if in.Has(1) {
		sizes, known = in.Elements(1)
	}
	switch {
	case known:
		if len(sizes) != parts {
			return nil, inputErrorf("%d sizes for %d outputs", len(sizes), parts)
		}
		left := extent
		for _, d := range sizes {
			if n, ok := d.Int(); ok && n < 0 {
				return nil, in.Errorf("a part has size %d", n)
			}
			left = left.Sub(d)
		}
		if n, ok := left.Int(); ok && n != 0 {
			return nil, in.Errorf("sizes %s of an extent of %s", graph.Shape(sizes), extent)
		}
		return sizes, nil
	case in.Has(1):
		return in.FreshShape("split", parts), nil
	case fixed && total >= 0:
		sizes, err := equalParts(in.Node, total)
		return dimsOf(sizes), err
	}
	// n extents divide evenly if the quotient times n is the extent again, or
	// because they must.
	size := extent.Div(graph.Const(int64(parts)))
	if in.Node.Version < 18 || size.Mul(graph.Const(int64(parts))).Equal(extent) {
		sizes = make([]graph.Dim, parts)
		for i := range sizes {
			sizes[i] = size
		}
		return sizes, nil
	}
	return in.FreshShape("split", parts), nil
}
