package op

import "mnnconv/graph"

// ReduceL1 is ONNX ReduceL1: sum of absolute values along axes.
var ReduceL1 = &Op{
	Name: "ReduceL1", Since: 1,
	Doc: "reduced = sum of |data| along axes; integers wrap. All axes by default; " +
		"a list of axes is an input since opset 18, an attribute before. Over no elements: 0.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(isNumber, nil),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: absOf[float64], int: absOf[int64], uint: sumOf[uint64],
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "last axis",
			In:   []*graph.Tensor{graph.Floats([]float32{3, -4, 0, 12}, 2, 2), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.Floats([]float32{7, 12}, 2, 1)},
		}, {
			Name: "int32",
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{3, -4})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{7})},
		}}
	},
}
