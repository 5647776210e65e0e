package op

import "mnnconv/graph"

// GatherND is ONNX GatherND.
var GatherND = &Op{
	Name: "GatherND", Since: 11,
	Doc: "Each row of the last axis of indices names a slice of data: its indices along the axes after the batch_dims leading " +
		"ones, which data and indices share.",
	Inputs: []string{"data", "indices"}, Outputs: []string{"output"}, Attrs: []string{"batch_dims"},
	Infer: func(in *Inference) error {
		x, at := in.Type(0), in.Type(1)
		if !x.Shape.Ranked() || !at.Shape.Ranked() {
			in.SetTensor(0, x.DType, nil)
			return nil
		}
		b := in.Node.Int("batch_dims", 0)
		if b < 0 || b >= int64(min(len(x.Shape), len(at.Shape))) {
			return inputErrorf("batch_dims %d with data of shape %s and indices of shape %s", b, x.Shape, at.Shape)
		}
		shape := append(graph.Shape{}, at.Shape[:len(at.Shape)-1]...)
		for i := range b {
			d, err := in.agree("batch axes", x.Shape[i], at.Shape[i])
			if err != nil {
				return err
			}
			shape[i] = d
		}
		n, fixed := at.Shape[len(at.Shape)-1].Int()
		switch {
		case !fixed:
			shape = nil
		case n < 1 || n > int64(len(x.Shape))-b:
			return in.Errorf("indices of shape %s name %d axes of data of shape %s", at.Shape, n, x.Shape)
		default:
			shape = append(shape, x.Shape[b+n:]...)
		}
		in.SetTensor(0, x.DType, shape)
		in.knowMoved(evalGatherND, first)
		return nil
	},
	Eval: evalGatherND,
	Cases: func() []Case {
		flat := graph.Ints([]int64{0, 1, 2, 3}, 2, 2)
		cube := graph.Ints([]int64{0, 1, 2, 3, 4, 5, 6, 7}, 2, 2, 2)
		return []Case{
			{Name: "example 1", In: []*graph.Tensor{flat, graph.Ints([]int64{0, 0, 1, 1}, 2, 2)}, Want: []*graph.Tensor{graph.Ints([]int64{0, 3})}},
			{Name: "example 2", In: []*graph.Tensor{flat, graph.Ints([]int64{1, 0}, 2, 1)}, Want: []*graph.Tensor{graph.Ints([]int64{2, 3, 0, 1}, 2, 2)}},
			{
				Name: "example 5", In: []*graph.Tensor{cube, graph.Ints([]int64{1, 0}, 2, 1)}, Attrs: []graph.Attr{{Name: "batch_dims", Value: int64(1)}},
				Want: []*graph.Tensor{graph.Ints([]int64{2, 3, 4, 5}, 2, 2)},
			},
			{Name: "negative index", In: []*graph.Tensor{flat, graph.Ints([]int64{-1, -2})}, Want: []*graph.Tensor{graph.Scalar(2)}},
			{Name: "no indices", In: []*graph.Tensor{flat, graph.Ints(nil, 0, 1)}, Want: []*graph.Tensor{graph.Ints(nil, 0, 2)}},
		}
	},
}

func evalGatherND(c *Call) error {
	x, at := c.Arg(0), c.Arg(1)
	b := c.Node.Int("batch_dims", 0)
	if b < 0 || b >= int64(min(len(x.Shape), len(at.Shape))) {
		return inputErrorf("batch_dims %d with data of shape %v and indices of shape %v", b, x.Shape, at.Shape)
	}
	for i := range b {
		if x.Shape[i] != at.Shape[i] {
			return inputErrorf("data of shape %v and indices of shape %v differ in batch axis %d", x.Shape, at.Shape, i)
		}
	}
	places, run, err := slicePlaces(x.Shape, at, int(b))
	if err != nil {
		return err
	}
	q := len(at.Shape) - 1
	m, err := c.moveTo(0, x, append(append([]int64{}, at.Shape[:q]...), x.Shape[int(b)+int(at.Shape[q]):]...)...)
	if err != nil {
		return err
	}
	for i, place := range places {
		m.copy(i*run, place, run)
	}
	return nil
}

// slicePlaces returns, for each row of an indices tensor of GatherND or
// ScatterND, the first element of the slice of the data it names, and the length
// of such a slice. The first batch axes of both are walked together.
func slicePlaces(shape []int64, at *graph.Tensor, batch int) (places []int, run int, err error) {
	width := at.Shape[len(at.Shape)-1]
	if width < 1 || width > int64(len(shape)-batch) {
		return nil, 0, inputErrorf("indices of shape %v name %d axes of data of shape %v", at.Shape, width, shape)
	}
	indices, err := at.Int64s()
	if err != nil {
		return nil, 0, err
	}
	axes := shape[batch : batch+int(width)]
	strides := rowStrides(shape)[batch:]
	run = count(shape[batch+int(width):])
	perBatch := max(count(at.Shape[batch:len(at.Shape)-1]), 1)
	places = make([]int, len(indices)/int(width))
	for i := range places {
		places[i] = i / perBatch * count(shape[batch:])
		for k, extent := range axes {
			j, err := indexIn(indices[i*len(axes)+k], extent)
			if err != nil {
				return nil, 0, err
			}
			places[i] += int(j) * strides[k]
		}
	}
	return places, run, nil
}
