package op

import "mnnconv/graph"

// Gather is ONNX Gather.
var Gather = &Op{
	Name: "Gather", Since: 1,
	Doc:    "Replaces axis (default 0) of data by the shape of indices: the slices of data they name; negative indices count from the end.",
	Inputs: []string{"data", "indices"}, Outputs: []string{"output"}, Attrs: []string{"axis"},
	Infer: func(in *Inference) error {
		x, indices := in.Type(0), in.Type(1)
		if !x.Shape.Ranked() || !indices.Shape.Ranked() {
			in.SetTensor(0, x.DType, nil)
			return nil
		}
		k, err := resolveAxis(in.Node.Int("axis", 0), len(x.Shape))
		if err != nil {
			return err
		}
		in.SetTensor(0, x.DType, replaced(x.Shape, k, indices.Shape))
		in.knowMoved(evalGather, first)
		return nil
	},
	Eval:  evalGather,
	Reads: pickedReads("axis"),
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
		return []Case{{
			Name: "rows", In: []*graph.Tensor{x, graph.Ints([]int64{0, -1, 0, 1}, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 5, 6, 1, 2, 3, 4}, 2, 2, 2)},
		}, {
			Name: "scalar index", In: []*graph.Tensor{x, graph.Scalar(1)}, Attrs: []graph.Attr{{Name: "axis", Value: int64(-1)}},
			Want: []*graph.Tensor{graph.Floats([]float32{2, 4, 6})},
		}, {
			Name: "no indices", In: []*graph.Tensor{x, graph.FromSlice(graph.Int32, []int32{}, 0)},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 2)},
		}, {
			Name: "strings", In: []*graph.Tensor{words("a", "b"), graph.Ints([]int64{1, 1, 0})},
			Want: []*graph.Tensor{words("b", "b", "a")},
		}}
	},
}

func evalGather(c *Call) error {
	x := c.Arg(0)
	k, err := resolveAxis(c.Node.Int("axis", 0), len(x.Shape))
	if err != nil {
		return err
	}
	indices, err := c.indices(1, x.Shape[k])
	if err != nil {
		return err
	}
	m, err := c.moveTo(0, x, replaced(x.Shape, k, c.Arg(1).Shape)...)
	if err != nil || m.dst.Len() == 0 {
		return err
	}
	outer, extent, run := count(x.Shape[:k]), int(x.Shape[k]), count(x.Shape[k+1:])
	at := 0
	for i := range outer {
		for _, j := range indices {
			m.copy(at, (i*extent+int(j))*run, run)
			at += run
		}
	}
	return nil
}

// replaced returns a shape with axis k replaced by other extents.
func replaced[T any](shape []T, k int, with []T) []T {
	out := make([]T, 0, len(shape)+len(with)-1)
	return append(append(append(out, shape[:k]...), with...), shape[k+1:]...)
}

// indices returns the elements of input i as indices into an extent, negative
// ones counted from the end.
func (c *Call) indices(i int, extent int64) ([]int64, error) {
	indices, err := c.Arg(i).Int64s()
	if err != nil {
		return nil, err
	}
	for k, j := range indices {
		if indices[k], err = indexIn(j, extent); err != nil {
			return nil, err
		}
	}
	return indices, nil
}

// indexIn counts a negative index from the end and checks its range.
func indexIn(i, extent int64) (int64, error) {
	if i < -extent || i >= extent {
		return 0, inputErrorf("index %d into an extent of %d", i, extent)
	}
	if i < 0 {
		i += extent
	}
	return i, nil
}
