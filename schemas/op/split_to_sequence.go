package op

import "mnnconv/graph"

// SplitToSequence is ONNX SplitToSequence.
var SplitToSequence = &Op{
	Name: "SplitToSequence", Since: 11,
	Doc: "Cuts the input along axis (default 0) into a sequence: of the sizes of a vector split, or each of a scalar split's size, the " +
		"last smaller where it does not come out even; without split each of one extent, whose axis goes if keepdims is 0.",
	Inputs: []string{"input", "split?"}, Outputs: []string{"output_sequence"}, Attrs: []string{"axis", "keepdims"},
	Infer: func(in *Inference) error {
		x := in.Type(0)
		if !x.Shape.Ranked() {
			in.Set(0, sequenceOf(x))
			return nil
		}
		k, err := resolveAxis(in.Node.Int("axis", 0), len(x.Shape))
		if err != nil {
			return err
		}
		switch {
		case in.Has(1):
			x.Shape = append(graph.Shape{}, x.Shape...)
			x.Shape[k] = in.Fresh("split")
		case in.Node.Int("keepdims", 1) == 0:
			x.Shape = replaced(x.Shape, k, nil)
		default:
			x.Shape = replaced(x.Shape, k, graph.Shape{graph.Const(1)})
		}
		in.Set(0, sequenceOf(x))
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		k, err := resolveAxis(c.Node.Int("axis", 0), len(x.Shape))
		if err != nil {
			return err
		}
		sizes, err := chunkSizes(c.Arg(1), x.Shape[k])
		if err != nil {
			return err
		}
		elems := make([]*graph.Tensor, len(sizes))
		at := int64(0)
		for i, n := range sizes {
			if elems[i], err = partOf(x, k, at, n); err != nil {
				return err
			}
			if c.Arg(1) == nil && c.Node.Int("keepdims", 1) == 0 {
				elems[i] = elems[i].Reshape(replaced(x.Shape, k, nil)...)
			}
			at += n
		}
		c.Set(0, sequenceTensor(elems...))
		return nil
	},
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2, 3, 4, 5, 6}, 2, 3)
		axis := graph.Attr{Name: "axis", Value: int64(-1)}
		return []Case{{
			Name: "sizes", In: []*graph.Tensor{x, graph.Ints([]int64{1, 2})}, Attrs: []graph.Attr{axis},
			Want: []*graph.Tensor{sequenceTensor(graph.Ints([]int64{1, 4}, 2, 1), graph.Ints([]int64{2, 3, 5, 6}, 2, 2))},
		}, {
			Name: "chunks", In: []*graph.Tensor{x, graph.Scalar(2)}, Attrs: []graph.Attr{axis},
			Want: []*graph.Tensor{sequenceTensor(graph.Ints([]int64{1, 2, 4, 5}, 2, 2), graph.Ints([]int64{3, 6}, 2, 1))},
		}, {
			Name: "rows without their axis", In: []*graph.Tensor{x}, Attrs: []graph.Attr{{Name: "keepdims", Value: int64(0)}},
			Want: []*graph.Tensor{sequenceTensor(graph.Ints([]int64{1, 2, 3}), graph.Ints([]int64{4, 5, 6}))},
		}, {
			Name: "nothing to cut", In: []*graph.Tensor{graph.Ints(nil, 0)}, Want: []*graph.Tensor{sequenceTensor()},
		}}
	},
}

// chunkSizes returns the sizes of the parts of an extent that split asks for.
func chunkSizes(split *graph.Tensor, extent int64) ([]int64, error) {
	if split == nil {
		split = graph.Scalar(1)
	}
	sizes, err := split.Int64s()
	if err != nil {
		return nil, err
	}
	if len(split.Shape) > 0 {
		return sizes, sumsTo(sizes, len(sizes), extent)
	}
	size := sizes[0]
	if size <= 0 {
		return nil, inputErrorf("split is %d", size)
	}
	n := extent/size + min(1, extent%size)
	if n > maxChunks {
		return nil, inputErrorf("an extent of %d gives %d parts, the limit is %d", extent, n, maxChunks)
	}
	sizes = make([]int64, n)
	for i := range sizes {
		sizes[i] = min(size, extent)
		extent -= sizes[i]
	}
	return sizes, nil
}

// maxChunks bounds the tensors that one node makes of one.
const maxChunks = 1 << 20
