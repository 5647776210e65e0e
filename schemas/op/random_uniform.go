package op

import "mnnconv/graph"

// RandomUniform is ONNX RandomUniform.
var RandomUniform = &Op{
	Name: "RandomUniform", Since: 1,
	Doc:     "Numbers evenly distributed from low to high, in the given shape; the same ones in each call only with a seed. Not the numbers of any other runtime.",
	Outputs: []string{"output"}, Attrs: []string{"dtype", "high", "low", "seed", "shape"},
	Random: true,
	Infer:  inferRandom,
	Eval:   evalUniform,
	Cases: func() []Case {
		return []Case{{ // of no width, so that the numbers are known
			Name: "no width", Attrs: []graph.Attr{{Name: "low", Value: float32(2)}, {Name: "high", Value: float32(2)}, {Name: "shape", Value: []int64{2}}},
			Want: []*graph.Tensor{graph.Floats([]float32{2, 2})},
		}}
	},
}
