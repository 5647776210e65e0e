package op

import "mnnconv/graph"

// Shrink is ONNX Shrink.
var Shrink = &Op{
	Name: "Shrink", Since: 9,
	Doc: "output = input + bias where input < -lambd, input - bias where input > lambd, else 0; computed in float64 and rounded to the input's type. " +
		"lambd is 0.5 and bias 0 by default.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Attrs: []string{"bias", "lambd"},
	Infer: only(isNumber, sameShape),
	Eval: func(c *Call) error {
		bias, lambd := float64(c.Node.Float("bias", 0)), float64(c.Node.Float("lambd", 0.5))
		f := func(x float64) float64 {
			switch {
			case x < -lambd:
				return x + bias
			case x > lambd:
				return x - bias
			}
			return 0
		}
		d := c.Arg(0).DType
		return evalUnary(c, unary{
			float: f,
			int:   func(x int64) int64 { return toInt(f(float64(x)), d) },
			uint:  func(x uint64) uint64 { return uint64(toInt(f(float64(x)), d)) },
		})
	},
	Cases: func() []Case {
		attrs := []graph.Attr{{Name: "lambd", Value: float32(1.5)}, {Name: "bias", Value: float32(1)}}
		return []Case{{
			Name: "soft", Attrs: attrs,
			In:   []*graph.Tensor{graph.Floats([]float32{-2, -1, 0, 1.5, 2})},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 0, 0, 0, 1})},
		}, {
			Name: "hard, of integers",
			In:   []*graph.Tensor{graph.Ints([]int64{-2, 0, 1})},
			Want: []*graph.Tensor{graph.Ints([]int64{-2, 0, 1})},
		}}
	},
}
