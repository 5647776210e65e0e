package op

import (
	"math"

	"mnnconv/graph"
)

// ArgMin is ONNX ArgMin: where the minimum along an axis is.
var ArgMin = &Op{
	Name: "ArgMin", Since: 1,
	Doc: "reduced = int64 index of the smallest element of data along axis (0 by default): the first, or with select_last_index the last. " +
		"A NaN counts as smaller than all numbers, as in numpy.argmin. An axis without elements is an error.",
	Inputs: []string{"data"}, Outputs: []string{"reduced"},
	Attrs: []string{"axis", "keepdims", "select_last_index"},
	Infer: inferArg,
	Eval:  func(c *Call) error { return evalArg(c, isLess) },
	Cases: func() []Case {
		return []Case{{
			Name:  "middle axis",
			Attrs: []graph.Attr{{Name: "axis", Value: int64(1)}, {Name: "keepdims", Value: int64(0)}},
			In:    []*graph.Tensor{graph.Ints([]int64{1, 8, 3, 4, 5, 2, 7, 6}, 2, 2, 2)},
			Want:  []*graph.Tensor{graph.Ints([]int64{0, 1, 0, 0}, 2, 2)},
		}, {
			Name:  "last of equals",
			Attrs: []graph.Attr{{Name: "select_last_index", Value: int64(1)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 4, 1, 2})},
			Want:  []*graph.Tensor{graph.Ints([]int64{2})},
		}, {
			Name: "NaN",
			In:   []*graph.Tensor{graph.Floats([]float32{1, float32(math.NaN()), 0, float32(math.NaN())})},
			Want: []*graph.Tensor{graph.Ints([]int64{1})},
		}}
	},
}
