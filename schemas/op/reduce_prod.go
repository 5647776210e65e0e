package op

import "mnnconv/graph"

// ReduceProd is ONNX ReduceProd: product along axes.
var ReduceProd = &Op{
	Name: "ReduceProd", Since: 1,
	Doc: "reduced = product of data along axes; integers wrap. All axes by default; " +
		"a list of axes is an input since opset 18, an attribute before. Over no elements: 1.",
	Inputs: []string{"data", "axes?"}, Outputs: []string{"reduced"},
	Attrs: []string{"axes", "keepdims", "noop_with_empty_axes"},
	Infer: inferReduce(isNumber, graph.Dim.Mul),
	Eval: func(c *Call) error {
		return evalReduce(c, reduction{
			float: prodOf[float64], int: prodOf[int64], uint: prodOf[uint64], empty: 1,
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "last axis",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3), graph.Ints([]int64{1})},
			Want: []*graph.Tensor{graph.Floats([]float32{6, 120}, 2, 1)},
		}, {
			Name:  "vector of extents",
			Attrs: []graph.Attr{{Name: "keepdims", Value: int64(0)}},
			In:    []*graph.Tensor{graph.Ints([]int64{2, 3, 4}), graph.Ints([]int64{0})},
			Want:  []*graph.Tensor{graph.Scalar(24)},
		}, {
			Name: "no elements", Version: 17,
			In:   []*graph.Tensor{graph.Floats(nil, 0)},
			Want: []*graph.Tensor{graph.Floats([]float32{1})},
		}}
	},
}
