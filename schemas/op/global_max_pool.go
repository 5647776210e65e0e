package op

import (
	"math"

	"mnnconv/graph"
)

// GlobalMaxPool is ONNX GlobalMaxPool.
var GlobalMaxPool = &Op{
	Name: "GlobalMaxPool", Since: 1,
	Doc:    "Y [N, C, 1, ...] is the largest element of each channel of X [N, C, ...]; NaN counts only where there is nothing else.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferGlobalPool,
	Eval: func(c *Call) error {
		return evalGlobalPool(c, func(x []float64) float64 {
			best := math.NaN()
			for _, v := range x {
				if best != best || v > best {
					best = v
				}
			}
			return best
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "2-D",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 6, -4, -1, -2, -4}, 1, 2, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{6, -1}, 1, 2, 1, 1)},
		}}
	},
}
