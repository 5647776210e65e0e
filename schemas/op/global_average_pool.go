package op

import "mnnconv/graph"

// GlobalAveragePool is ONNX GlobalAveragePool.
var GlobalAveragePool = &Op{
	Name: "GlobalAveragePool", Since: 1,
	Doc:    "Y [N, C, 1, ...] is the mean over the spatial axes of X [N, C, ...]; sums are kept in float64 and rounded once.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferGlobalPool,
	Eval: func(c *Call) error {
		return evalGlobalPool(c, func(x []float64) float64 {
			sum := 0.0
			for _, v := range x {
				sum += v
			}
			return sum / float64(len(x)) // of nothing: NaN
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "2-D",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 6, 0, 0, 0, 4}, 1, 2, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 1}, 1, 2, 1, 1)},
		}, {
			Name: "float16 is rounded once",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{60000, 60000}, 1, 1, 2)},
			Want: []*graph.Tensor{narrow(graph.Float16, []float32{60000}, 1, 1, 1)},
		}}
	},
}
