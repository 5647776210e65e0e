package op

import "mnnconv/graph"

// RandomUniformLike is ONNX RandomUniformLike.
var RandomUniformLike = &Op{
	Name: "RandomUniformLike", Since: 1,
	Doc:    "Numbers evenly distributed from low to high, in the shape of the input; the same ones in each call only with a seed. Not the numbers of any other runtime.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"dtype", "high", "low", "seed"},
	Random: true,
	Infer:  inferRandom,
	Eval:   evalUniform,
	Cases: func() []Case {
		return []Case{{ // of no width, so that the numbers are known
			Name: "no width", Attrs: []graph.Attr{{Name: "low", Value: float32(2)}, {Name: "high", Value: float32(2)}},
			In: []*graph.Tensor{graph.Floats([]float32{7, 7})}, Want: []*graph.Tensor{graph.Floats([]float32{2, 2})},
		}}
	},
}
