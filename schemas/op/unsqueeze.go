package op

import "mnnconv/graph"

// Unsqueeze is ONNX Unsqueeze.
var Unsqueeze = &Op{
	Name: "Unsqueeze", Since: 1,
	Doc:    "Inserts axes of extent 1 where the output has the named axes. Axes are an attribute before version 13.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"expanded"}, Attrs: []string{"axes"},
	Infer: func(in *Inference) error {
		x := in.Type(0)
		list, given, known := in.list(1, "axes")
		switch {
		case !given:
			return inputErrorf("no axes are given")
		case !x.Shape.Ranked() || !known:
			in.SetTensor(0, x.DType, nil)
			return nil
		}
		shape, err := withAxes(x.Shape, list, graph.Const(1))
		if err != nil {
			return err
		}
		in.SetTensor(0, x.DType, shape)
		in.knowFirst()
		return nil
	},
	Eval: func(c *Call) error {
		list, given, err := c.list(1, "axes")
		if err != nil {
			return err
		}
		if !given {
			return inputErrorf("no axes are given")
		}
		shape, err := withAxes(c.Arg(0).Shape, list, 1)
		if err != nil {
			return err
		}
		c.Set(0, c.Arg(0).Reshape(shape...))
		return nil
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2})
		return []Case{
			{Name: "both ends", In: []*graph.Tensor{x, graph.Ints([]int64{-1, 0})}, Want: []*graph.Tensor{x.Reshape(1, 2, 1)}},
			{Name: "scalar", In: []*graph.Tensor{graph.Scalar(4), graph.Ints([]int64{0})}, Want: []*graph.Tensor{graph.Ints([]int64{4})}},
			{Name: "scalar axes", In: []*graph.Tensor{x, graph.Scalar(1)}, Want: []*graph.Tensor{x.Reshape(2, 1)}},
			{
				Name: "attribute", Version: 11, In: []*graph.Tensor{x}, Attrs: []graph.Attr{{Name: "axes", Value: []int64{1}}},
				Want: []*graph.Tensor{x.Reshape(2, 1)},
			},
			{Name: "no elements", In: []*graph.Tensor{graph.Ints(nil, 0), graph.Ints([]int64{0})}, Want: []*graph.Tensor{graph.Ints(nil, 1, 0)}},
		}
	},
}

// withAxes inserts extents so that they become the named axes of the result.
func withAxes[T any](shape []T, list []int64, extent T) ([]T, error) {
	rank := len(shape) + len(list)
	axes, err := axesOf(list, rank)
	if err != nil {
		return nil, err
	}
	inserted := make([]bool, rank)
	for _, i := range axes {
		inserted[i] = true
	}
	out := make([]T, 0, rank)
	for i := range rank {
		if inserted[i] {
			out = append(out, extent)
		} else {
			out = append(out, shape[0])
			shape = shape[1:]
		}
	}
	return out, nil
}
