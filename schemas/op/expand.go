package op

import "mnnconv/graph"

// Expand is ONNX Expand.
var Expand = &Op{
	Name: "Expand", Since: 8,
	Doc:    "Repeats the input to the shape that it and the listed shape broadcast to.",
	Inputs: []string{"input", "shape"}, Outputs: []string{"output"},
	Infer: inferExpand,
	Eval:  evalExpand,
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2}, 2, 1)
		return []Case{{
			Name: "columns", In: []*graph.Tensor{x, graph.Ints([]int64{2, 3})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 1, 1, 2, 2, 2}, 2, 3)},
		}, {
			Name: "shorter shape", In: []*graph.Tensor{x, graph.Ints([]int64{2})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 1, 2, 2}, 2, 2)},
		}, {
			Name: "longer shape", In: []*graph.Tensor{x, graph.Ints([]int64{2, 1, 1})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 1, 2}, 2, 2, 1)},
		}, {
			Name: "to nothing", In: []*graph.Tensor{x, graph.Ints([]int64{0})}, Want: []*graph.Tensor{graph.Floats(nil, 2, 0)},
		}}
	},
}

func evalExpand(c *Call) error {
	x := c.Arg(0)
	target, err := c.Arg(1).Int64s()
	if err != nil {
		return err
	}
	shape, err := BroadcastShape(x.Shape, target)
	if err != nil {
		return err
	}
	m, err := c.moveTo(0, x, shape...)
	if err != nil {
		return err
	}
	m.strided(shape, 0, broadcastStrides(shape, x.Shape))
	return nil
}

func inferExpand(in *Inference) error {
	x := in.Type(0)
	elems, ok := in.partial(1)
	if !ok {
		in.SetTensor(0, x.DType, nil)
		return nil
	}
	target := in.orFresh("expand", elems)
	for _, d := range target {
		if n, ok := d.Int(); ok && n < 0 {
			return in.Errorf("shape %s has a negative extent", graph.Shape(target))
		}
	}
	shape, err := in.Broadcast(x.Shape, append(graph.Shape{}, target...))
	if err != nil {
		return err
	}
	in.SetTensor(0, x.DType, shape)
	in.knowMoved(evalExpand, first)
	return nil
}
