package op

import "mnnconv/graph"

// CumSum is ONNX CumSum: running sums along an axis.
var CumSum = &Op{
	Name: "CumSum", Since: 11,
	Doc: "y[i] = sum of x[j] along axis over j <= i; exclusive leaves x[i] itself out, reverse runs from the end. " +
		"Floats are kept in float64 and rounded once per element; integers wrap. axis is a scalar (a vector of one element is taken too).",
	Inputs: []string{"x", "axis"}, Outputs: []string{"y"},
	Attrs: []string{"exclusive", "reverse"},
	Infer: inferRunning,
	Eval: func(c *Call) error {
		return evalRunning(c, 0, func(a, b float64) float64 { return a + b }, func(a, b int64) int64 { return a + b })
	},
	Cases: func() []Case {
		set := func(names ...string) []graph.Attr {
			attrs := []graph.Attr{}
			for _, n := range names {
				attrs = append(attrs, graph.Attr{Name: n, Value: int64(1)})
			}
			return attrs
		}
		x, zero := graph.Ints([]int64{1, 2, 3}), graph.Scalar(0)
		return []Case{{
			Name: "inclusive",
			In:   []*graph.Tensor{x, zero},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 3, 6})},
		}, {
			Name: "exclusive", Attrs: set("exclusive"),
			In:   []*graph.Tensor{x, zero},
			Want: []*graph.Tensor{graph.Ints([]int64{0, 1, 3})},
		}, {
			Name: "reverse", Attrs: set("reverse"),
			In:   []*graph.Tensor{x, zero},
			Want: []*graph.Tensor{graph.Ints([]int64{6, 5, 3})},
		}, {
			Name: "exclusive and reverse", Attrs: set("exclusive", "reverse"),
			In:   []*graph.Tensor{x, zero},
			Want: []*graph.Tensor{graph.Ints([]int64{5, 3, 0})},
		}, {
			Name: "first axis, int32 index vector",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 3, 2), graph.FromSlice(graph.Int32, []int32{-2})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 4, 6, 9, 12}, 3, 2)},
		}, {
			Name: "no elements",
			In:   []*graph.Tensor{graph.Floats(nil, 2, 0), graph.Scalar(1)},
			Want: []*graph.Tensor{graph.Floats(nil, 2, 0)},
		}}
	},
}
