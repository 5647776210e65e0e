package op

import "mnnconv/graph"

// Compress is ONNX Compress.
var Compress = &Op{
	Name: "Compress", Since: 9,
	Doc:    "The slices along axis, or elements of the flattened input, whose condition is true; those beyond the condition's length are left out.",
	Inputs: []string{"input", "condition"}, Outputs: []string{"output"}, Attrs: []string{"axis"},
	Infer: func(in *Inference) error {
		x := in.Type(0)
		n := in.Fresh("compress")
		if flags, ok := in.Ints(1); ok {
			kept := int64(0)
			for _, f := range flags {
				if f != 0 {
					kept++
				}
			}
			n = graph.Const(kept)
		}
		switch {
		case !in.Node.Has("axis"):
			in.SetTensor(0, x.DType, graph.Shape{n})
		case !x.Shape.Ranked():
			in.SetTensor(0, x.DType, nil)
		default:
			k, err := resolveAxis(in.Node.Int("axis", 0), len(x.Shape))
			if err != nil {
				return err
			}
			in.SetTensor(0, x.DType, replaced(x.Shape, k, graph.Shape{n}))
		}
		in.knowMoved(evalCompress, first)
		return nil
	},
	Eval: evalCompress,
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2, 3, 4, 5, 6}, 3, 2)
		flags := func(v ...uint8) *graph.Tensor { return graph.FromSlice(graph.Bool, v) }
		axis := func(i int64) []graph.Attr { return []graph.Attr{{Name: "axis", Value: i}} }
		return []Case{
			{Name: "rows", In: []*graph.Tensor{x, flags(0, 1, 1)}, Attrs: axis(0), Want: []*graph.Tensor{graph.Ints([]int64{3, 4, 5, 6}, 2, 2)}},
			{Name: "columns", In: []*graph.Tensor{x, flags(0, 1)}, Attrs: axis(-1), Want: []*graph.Tensor{graph.Ints([]int64{2, 4, 6}, 3, 1)}},
			{Name: "flattened, short condition", In: []*graph.Tensor{x, flags(0, 1, 0, 0, 1)}, Want: []*graph.Tensor{graph.Ints([]int64{2, 5})}},
			{Name: "none", In: []*graph.Tensor{x, flags(0)}, Attrs: axis(0), Want: []*graph.Tensor{graph.Ints(nil, 0, 2)}},
		}
	},
}

func evalCompress(c *Call) error {
	x := c.Arg(0)
	if !c.Node.Has("axis") {
		x = x.Reshape(int64(x.Len()))
	}
	k, err := resolveAxis(c.Node.Int("axis", 0), len(x.Shape))
	if err != nil {
		return err
	}
	flags, err := c.Arg(1).Int64s()
	if err != nil {
		return err
	}
	var kept []int
	for i, f := range flags {
		if f == 0 {
			continue
		}
		if int64(i) >= x.Shape[k] {
			return inputErrorf("condition %d of an extent of %d is true", i, x.Shape[k])
		}
		kept = append(kept, i)
	}
	m, err := c.moveTo(0, x, replaced(x.Shape, k, []int64{int64(len(kept))})...)
	if err != nil || m.dst.Len() == 0 {
		return err
	}
	outer, extent, run := count(x.Shape[:k]), int(x.Shape[k]), count(x.Shape[k+1:])
	for o := range outer {
		for i, at := range kept {
			m.copy((o*len(kept)+i)*run, (o*extent+at)*run, run)
		}
	}
	return nil
}
