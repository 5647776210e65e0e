package op

import "mnnconv/graph"

// Scatter is ONNX Scatter, which ScatterElements replaced in version 11.
var Scatter = &Op{
	Name: "Scatter", Since: 9,
	Doc:    "A copy of data in which the element named by each index, the position of the index with axis (default 0) replaced by it, is replaced by the update there.",
	Inputs: []string{"data", "indices", "updates"}, Outputs: []string{"output"}, Attrs: []string{"axis"},
	Infer: inferScatter(evalScatterElements),
	Eval:  evalScatterElements,
	Cases: func() []Case {
		return []Case{{
			Name: "columns", Version: 9, Attrs: []graph.Attr{{Name: "axis", Value: int64(1)}},
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5}, 1, 5), graph.Ints([]int64{1, 3}, 1, 2), graph.Floats([]float32{1.5, 2.5}, 1, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 1.5, 3, 2.5, 5}, 1, 5)},
		}}
	},
}
