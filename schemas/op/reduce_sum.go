package op

import "mnnconv/graph"

// ReduceSum is ONNX ReduceSum: sum along axes.
var ReduceSum = &Op{
	Name: "ReduceSum", Since: 1,
	Doc: "reduced = sum of data along axes; integers wrap. All axes by default; " +
		"a list of axes is an input since opset 13, an attribute before. Over no elements: 0.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(isNumber, graph.Dim.Add),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: sumOf[float64], int: sumOf[int64], uint: sumOf[uint64],
		})
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
		return []Case{{
			Name: "negative axis",
			In:   []*graph.Tensor{x, graph.Ints([]int64{-1})},
			Want: []*graph.Tensor{graph.Floats([]float32{6, 15}, 2, 1)},
		}, {
			Name:  "all axes by default",
			Attrs: []graph.Attr{{Name: "keepdims", Value: int64(0)}},
			In:    []*graph.Tensor{x},
			Want:  []*graph.Tensor{graph.Floats([]float32{21}, []int64{}...)},
		}, {
			Name:  "no axes",
			Attrs: []graph.Attr{{Name: "noop_with_empty_axes", Value: int64(1)}},
			In:    []*graph.Tensor{x, graph.Ints(nil, 0)},
			Want:  []*graph.Tensor{x},
		}, {
			Name: "attribute of opset 11", Version: 11,
			Attrs: []graph.Attr{{Name: "axes", Value: []int64{0, 2}}, {Name: "keepdims", Value: int64(0)}},
			In:    []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 4, 5, 6, 7, 8}, 2, 2, 2)},
			Want:  []*graph.Tensor{graph.Ints([]int64{14, 22})},
		}, {
			Name:  "vector of extents",
			Attrs: []graph.Attr{{Name: "keepdims", Value: int64(0)}},
			In:    []*graph.Tensor{graph.Ints([]int64{2, 3, 4})},
			Want:  []*graph.Tensor{graph.Scalar(9)},
		}, {
			Name: "no elements",
			In:   []*graph.Tensor{graph.Floats(nil, 2, 0), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0}, 2, 1)},
		}, {
			Name: "float16 rounds once",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{2048, 1, 1, 1})},
			Want: []*graph.Tensor{narrow(graph.Float16, []float32{2052})},
		}}
	},
}
