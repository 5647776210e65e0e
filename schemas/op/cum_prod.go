package op

import "mnnconv/graph"

// CumProd is ONNX CumProd: running products along an axis.
var CumProd = &Op{
	Name: "CumProd", Since: 26,
	Doc: "y[i] = product of x[j] along axis over j <= i; exclusive leaves x[i] itself out, reverse runs from the end. " +
		"Floats are kept in float64 and rounded once per element; integers wrap.",
	Inputs: []string{"x", "axis"}, Outputs: []string{"y"},
	Attrs: []string{"exclusive", "reverse"},
	Infer: inferRunning,
	Eval: func(c *Call) error {
		return evalRunning(c, 1, func(a, b float64) float64 { return a * b }, func(a, b int64) int64 { return a * b })
	},
	Cases: func() []Case {
		x, zero := graph.Ints([]int64{2, 3, 4}), graph.Scalar(0)
		both := []graph.Attr{{Name: "exclusive", Value: int64(1)}, {Name: "reverse", Value: int64(1)}}
		return []Case{
			{Name: "inclusive", In: []*graph.Tensor{x, zero}, Want: []*graph.Tensor{graph.Ints([]int64{2, 6, 24})}},
			{Name: "exclusive and reverse", Attrs: both, In: []*graph.Tensor{x, zero}, Want: []*graph.Tensor{graph.Ints([]int64{12, 4, 1})}},
			{
				Name: "floats, last axis", In: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, -1}, 2, 2), graph.Scalar(-1)},
				Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, -3}, 2, 2)},
			},
		}
	},
}
