package op

import "mnnconv/graph"

// ScatterElements is ONNX ScatterElements.
var ScatterElements = &Op{
	Name: "ScatterElements", Since: 11,
	Doc: "A copy of data in which the element named by each index, the position of the index with axis (default 0) replaced by " +
		"it, is replaced by, or combined with (reduction add, mul, max, min), the update there.",
	Inputs: []string{"data", "indices", "updates"}, Outputs: []string{"output"}, Attrs: []string{"axis", "reduction"},
	Infer: inferScatter(evalScatterElements),
	Eval:  evalScatterElements,
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5}, 1, 5)
		at := graph.Ints([]int64{1, -2}, 1, 2)
		axis := graph.Attr{Name: "axis", Value: int64(1)}
		updates := graph.Floats([]float32{1.5, 2.5}, 1, 2)
		return []Case{{
			Name: "columns", In: []*graph.Tensor{x, at, updates}, Attrs: []graph.Attr{axis},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 1.5, 3, 2.5, 5}, 1, 5)},
		}, {
			Name: "example 1",
			In: []*graph.Tensor{graph.Floats(make([]float32, 9), 3, 3), graph.FromSlice(graph.Int32, []int32{1, 0, 2, 0, 2, 1}, 2, 3),
				graph.Floats([]float32{1, 1.1, 1.2, 2, 2.1, 2.2}, 2, 3)},
			Want: []*graph.Tensor{graph.Floats([]float32{2, 1.1, 0, 1, 0, 2.2, 0, 2.1, 1.2}, 3, 3)},
		}, {
			Name: "min", In: []*graph.Tensor{x, at, updates}, Attrs: []graph.Attr{axis, {Name: "reduction", Value: "min"}},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 1.5, 3, 2.5, 5}, 1, 5)},
		}, {
			Name: "mul", In: []*graph.Tensor{graph.Ints([]int64{3, 4}), graph.Ints([]int64{1, 1}), graph.Ints([]int64{5, -1})},
			Attrs: []graph.Attr{{Name: "reduction", Value: "mul"}}, Want: []*graph.Tensor{graph.Ints([]int64{3, -20})},
		}}
	},
}

func evalScatterElements(c *Call) error {
	at := c.Arg(1)
	places, err := c.elementPlaces(c.Arg(0).Shape, at)
	if err != nil {
		return err
	}
	return c.scatter(places, 1, at.Shape)
}
