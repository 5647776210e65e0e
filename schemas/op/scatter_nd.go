package op

import "mnnconv/graph"

// ScatterND is ONNX ScatterND.
var ScatterND = &Op{
	Name: "ScatterND", Since: 11,
	Doc: "A copy of data in which the slice that each row of the last axis of indices names is replaced by, or combined with " +
		"(reduction add, mul, max, min), the updates at that row.",
	Inputs: []string{"data", "indices", "updates"}, Outputs: []string{"output"}, Attrs: []string{"reduction"},
	Infer: inferScatter(evalScatterND),
	Eval:  evalScatterND,
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2, 3, 4, 5, 6, 7, 8})
		add := []graph.Attr{{Name: "reduction", Value: "add"}}
		return []Case{{
			Name: "example 1", In: []*graph.Tensor{x, graph.Ints([]int64{4, 3, 1, -1}, 4, 1), graph.Ints([]int64{9, 10, 11, 12})},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 11, 3, 10, 9, 6, 7, 12})},
		}, {
			Name: "rows", In: []*graph.Tensor{x.Reshape(4, 2), graph.Ints([]int64{2, 0}, 2, 1), graph.Ints([]int64{-1, -2, -3, -4}, 2, 2)},
			Want: []*graph.Tensor{graph.Ints([]int64{-3, -4, 3, 4, -1, -2, 7, 8}, 4, 2)},
		}, {
			Name: "add twice", Attrs: add,
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2}), graph.Ints([]int64{0, 0}, 2, 1), graph.Floats([]float32{10, 100})},
			Want: []*graph.Tensor{graph.Floats([]float32{111, 2})},
		}, {
			Name: "halves, rounded once", Attrs: add, // 2048 + 1 + 1 is 2050; rounded after each it stays 2048
			In: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x6800}), graph.Ints([]int64{0, 0}, 2, 1),
				graph.FromSlice(graph.Float16, []uint16{0x3c00, 0x3c00})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x6801})},
		}, {
			Name: "no updates", In: []*graph.Tensor{x, graph.Ints(nil, 0, 1), graph.Ints(nil, 0)}, Want: []*graph.Tensor{x},
		}}
	},
}

func evalScatterND(c *Call) error {
	x, at := c.Arg(0), c.Arg(1)
	if len(at.Shape) == 0 {
		return inputErrorf("indices are a scalar")
	}
	places, run, err := slicePlaces(x.Shape, at, 0)
	if err != nil {
		return err
	}
	q := len(at.Shape) - 1
	return c.scatter(places, run, append(append([]int64{}, at.Shape[:q]...), x.Shape[at.Shape[q]:]...))
}
