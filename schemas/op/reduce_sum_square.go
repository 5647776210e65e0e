package op

import "mnnconv/graph"

// ReduceSumSquare is ONNX ReduceSumSquare: sum of squares along axes.
var ReduceSumSquare = &Op{
	Name: "ReduceSumSquare", Since: 1,
	Doc: "reduced = sum of data^2 along axes; integers wrap. All axes by default; " +
		"a list of axes is an input since opset 18, an attribute before. Over no elements: 0.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(isNumber, nil),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: squaresOf[float64], int: squaresOf[int64], uint: squaresOf[uint64],
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "last axis",
			In:   []*graph.Tensor{graph.Floats([]float32{3, -4, 0, 12}, 2, 2), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.Floats([]float32{25, 144}, 2, 1)},
		}, {
			Name:  "no axes still squares",
			Attrs: []graph.Attr{{Name: "noop_with_empty_axes", Value: int64(1)}},
			In:    []*graph.Tensor{graph.Ints([]int64{-3, 4})},
			Want:  []*graph.Tensor{graph.Ints([]int64{9, 16})},
		}}
	},
}
