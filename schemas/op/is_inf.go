package op

import (
	"math"

	"mnnconv/graph"
)

// IsInf is ONNX IsInf: element-wise test for infinity.
var IsInf = &Op{
	Name: "IsInf", Since: 10,
	Doc: "Y is true where X is infinite, element by element; " +
		"detect_positive and detect_negative, both 1 by default, say which infinities count.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"detect_negative", "detect_positive"},
	Infer: inferTest,
	Eval: func(c *Call) error {
		negative, positive := c.Node.Int("detect_negative", 1) != 0, c.Node.Int("detect_positive", 1) != 0
		return evalTest(c, func(x float64) bool { return positive && math.IsInf(x, 1) || negative && math.IsInf(x, -1) })
	},
	Cases: func() []Case {
		x := []float32{1, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
		return []Case{{
			Name: "both",
			In:   []*graph.Tensor{graph.Floats(x)},
			Want: []*graph.Tensor{bools([]bool{false, false, true, true})},
		}, {
			Name:  "positive",
			Attrs: []graph.Attr{{Name: "detect_negative", Value: int64(0)}},
			In:    []*graph.Tensor{narrow(graph.Float16, x)},
			Want:  []*graph.Tensor{bools([]bool{false, false, true, false})},
		}, {
			Name:  "negative",
			Attrs: []graph.Attr{{Name: "detect_positive", Value: int64(0)}},
			In:    []*graph.Tensor{narrow(graph.Float64, x, 2, 2)},
			Want:  []*graph.Tensor{bools([]bool{false, false, false, true}, 2, 2)},
		}}
	},
}
