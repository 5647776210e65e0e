package op

import "mnnconv/graph"

// GatherElements is ONNX GatherElements.
var GatherElements = &Op{
	Name: "GatherElements", Since: 11,
	Doc:    "out[i][j]… = data[i][j]… with the index along axis (default 0) replaced by indices[i][j]…",
	Inputs: []string{"data", "indices"}, Outputs: []string{"output"}, Attrs: []string{"axis"},
	Infer: func(in *Inference) error {
		x, indices := in.Type(0), in.Type(1)
		if x.Shape.Ranked() && indices.Shape.Ranked() && len(x.Shape) != len(indices.Shape) {
			return in.Errorf("data and indices have shapes %s and %s", x.Shape, indices.Shape)
		}
		in.SetTensor(0, x.DType, indices.Shape)
		in.knowMoved(evalGatherElements, first)
		return nil
	},
	Eval: evalGatherElements,
	Cases: func() []Case {
		return []Case{{
			Name:  "example 1",
			In:    []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 4}, 2, 2), graph.Ints([]int64{0, 0, 1, 0}, 2, 2)},
			Attrs: []graph.Attr{{Name: "axis", Value: int64(1)}},
			Want:  []*graph.Tensor{graph.Ints([]int64{1, 1, 4, 3}, 2, 2)},
		}, {
			Name: "fewer rows, negative index",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 3, 2), graph.FromSlice(graph.Int32, []int32{-1, 0}, 1, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{5, 2}, 1, 2)},
		}, {
			Name: "no elements", In: []*graph.Tensor{graph.Ints(nil, 0), graph.Ints(nil, 0)}, Want: []*graph.Tensor{graph.Ints(nil, 0)},
		}}
	},
}

func evalGatherElements(c *Call) error {
	x, at := c.Arg(0), c.Arg(1)
	places, err := c.elementPlaces(x.Shape, at)
	if err != nil {
		return err
	}
	m, err := c.moveTo(0, x, at.Shape...)
	if err != nil {
		return err
	}
	for i, place := range places {
		m.copy(i, place, 1)
	}
	return nil
}

// elementPlaces returns, for each element of an indices tensor of
// GatherElements or ScatterElements, the element of the data it names.
func (c *Call) elementPlaces(shape []int64, at *graph.Tensor) ([]int, error) {
	k, err := resolveAxis(c.Node.Int("axis", 0), len(shape))
	if err != nil {
		return nil, err
	}
	if len(at.Shape) != len(shape) {
		return nil, inputErrorf("data and indices have shapes %v and %v", shape, at.Shape)
	}
	for d, n := range at.Shape {
		if d != k && n > shape[d] {
			return nil, inputErrorf("indices have shape %v, data only %v", at.Shape, shape)
		}
	}
	places, err := at.Int64s()
	if err != nil {
		return nil, err
	}
	strides := rowStrides(shape)
	out := make([]int, len(places))
	index := make([]int64, len(shape))
	base := 0 // of the other axes' indices
	for i, j := range places {
		if j, err = indexIn(j, shape[k]); err != nil {
			return nil, err
		}
		out[i] = base + int(j)*strides[k]
		for d := len(shape) - 1; d >= 0; d-- {
			step := strides[d]
			if d == k {
				step = 0
			}
			index[d]++
			base += step
			if index[d] < at.Shape[d] {
				break
			}
			base -= step * int(at.Shape[d])
			index[d] = 0
		}
	}
	return out, nil
}
