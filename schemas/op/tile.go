package op

import "mnnconv/graph"

// Tile is ONNX Tile.
var Tile = &Op{
	Name: "Tile", Since: 6,
	Doc:    "The input repeated repeats[i] times along each axis i.",
	Inputs: []string{"input", "repeats"}, Outputs: []string{"output"},
	Infer: func(in *Inference) error {
		x := in.Type(0)
		if !x.Shape.Ranked() {
			in.SetTensor(0, x.DType, nil)
			return nil
		}
		repeats, ok := in.partial(1)
		if !ok {
			in.SetTensor(0, x.DType, in.FreshShape("tile", len(x.Shape)))
			return nil
		}
		if len(repeats) != len(x.Shape) {
			return inputErrorf("%d repeats for shape %s", len(repeats), x.Shape)
		}
		shape := make(graph.Shape, len(repeats))
		for i, n := range repeats {
			if n == nil {
				shape[i] = in.Fresh("tile")
				continue
			}
			if k, ok := n.Int(); ok && k < 0 {
				return inputErrorf("axis %d is repeated %d times", i, k)
			}
			shape[i] = x.Shape[i].Mul(*n)
		}
		in.SetTensor(0, x.DType, shape)
		in.knowMoved(evalTile, first)
		return nil
	},
	Eval: evalTile,
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2, 3, 4}, 2, 2)
		return []Case{{
			Name: "columns", In: []*graph.Tensor{x, graph.Ints([]int64{1, 2})},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 1, 2, 3, 4, 3, 4}, 2, 4)},
		}, {
			Name: "both", In: []*graph.Tensor{graph.Floats([]float32{1, 2}, 2, 1), graph.Ints([]int64{2, 2})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 1, 2, 2, 1, 1, 2, 2}, 4, 2)},
		}, {
			Name: "not at all", In: []*graph.Tensor{x, graph.Ints([]int64{0, 1})}, Want: []*graph.Tensor{graph.Ints(nil, 0, 2)},
		}, {
			Name: "scalar", In: []*graph.Tensor{graph.Scalar(3), graph.Ints(nil)}, Want: []*graph.Tensor{graph.Scalar(3)},
		}}
	},
}

func evalTile(c *Call) error {
	x := c.Arg(0)
	repeats, err := c.Arg(1).Int64s()
	if err != nil {
		return err
	}
	if len(repeats) != len(x.Shape) {
		return inputErrorf("%d repeats for shape %v", len(repeats), x.Shape)
	}
	shape := make([]int64, len(repeats))
	walk, step := make([]int64, 2*len(repeats)), make([]int, 2*len(repeats)) // each axis once as its repeats, once as itself
	for i, stride := range rowStrides(x.Shape) {
		n, ok := graph.CheckedMul(x.Shape[i], repeats[i])
		if !ok {
			return inputErrorf("an extent of %d cannot be repeated %d times", x.Shape[i], repeats[i])
		}
		shape[i] = n
		walk[2*i], walk[2*i+1], step[2*i+1] = repeats[i], x.Shape[i], stride
	}
	m, err := c.moveTo(0, x, shape...)
	if err != nil {
		return err
	}
	m.strided(walk, 0, step)
	return nil
}
