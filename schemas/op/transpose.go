package op

import "mnnconv/graph"

// Transpose is ONNX Transpose.
var Transpose = &Op{
	Name: "Transpose", Since: 1,
	Doc:    "Axis i of the output is axis perm[i] of the input; without perm the axes are reversed.",
	Inputs: []string{"data"}, Outputs: []string{"transposed"}, Attrs: []string{"perm"},
	Infer: func(in *Inference) error {
		x := in.Type(0)
		if !x.Shape.Ranked() {
			in.SetTensor(0, x.DType, nil)
			return nil
		}
		perm, err := permutation(in.Node, len(x.Shape))
		if err != nil {
			return err
		}
		shape := make(graph.Shape, len(perm))
		for i, from := range perm {
			shape[i] = x.Shape[from]
		}
		in.SetTensor(0, x.DType, shape)
		in.knowMoved(evalTranspose, first)
		return nil
	},
	Eval: evalTranspose,
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 1, 2, 3)
		perm := func(p ...int64) []graph.Attr { return []graph.Attr{{Name: "perm", Value: p}} }
		return []Case{{
			Name: "reversed", In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Floats([]float32{1, 4, 2, 5, 3, 6}, 3, 2, 1)},
		}, {
			Name: "permuted", In: []*graph.Tensor{x}, Attrs: perm(1, 0, 2), Want: []*graph.Tensor{x.Reshape(2, 1, 3)},
		}, {
			Name: "bytes", In: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{1, 2, 3, 4}, 2, 2)}, Attrs: perm(1, 0),
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{1, 3, 2, 4}, 2, 2)},
		}, {
			Name: "strings", In: []*graph.Tensor{words("a", "b", "c", "d").Reshape(2, 2)},
			Want: []*graph.Tensor{words("a", "c", "b", "d").Reshape(2, 2)},
		}, {
			Name: "no elements", In: []*graph.Tensor{graph.Floats(nil, 0, 2)}, Want: []*graph.Tensor{graph.Floats(nil, 2, 0)},
		}}
	},
}

func evalTranspose(c *Call) error {
	x := c.Arg(0)
	perm, err := permutation(c.Node, len(x.Shape))
	if err != nil {
		return err
	}
	strides := rowStrides(x.Shape)
	shape, step := make([]int64, len(perm)), make([]int, len(perm))
	for i, from := range perm {
		shape[i], step[i] = x.Shape[from], strides[from]
	}
	m, err := c.moveTo(0, x, shape...)
	if err != nil {
		return err
	}
	m.strided(shape, 0, step)
	return nil
}

func permutation(n *graph.Node, rank int) ([]int, error) {
	if !n.Has("perm") {
		perm := make([]int, rank)
		for i := range perm {
			perm[i] = rank - 1 - i
		}
		return perm, nil
	}
	list := n.Ints("perm")
	if len(list) != rank {
		return nil, inputErrorf("perm %v for a tensor of rank %d", list, rank)
	}
	return axesOf(list, rank)
}
