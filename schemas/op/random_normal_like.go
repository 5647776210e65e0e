package op

import "mnnconv/graph"

// RandomNormalLike is ONNX RandomNormalLike.
var RandomNormalLike = &Op{
	Name: "RandomNormalLike", Since: 1,
	Doc:    "Normally distributed numbers of the attributes mean and scale, in the shape of the input; the same ones in each call only with a seed. Not the numbers of any other runtime.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"dtype", "mean", "scale", "seed"},
	Random: true,
	Infer:  inferRandom,
	Eval:   evalNormal,
	Cases: func() []Case {
		return []Case{{ // of no width, so that the numbers are known
			Name: "no width", Attrs: []graph.Attr{{Name: "mean", Value: float32(3)}, {Name: "scale", Value: float32(0)}},
			In: []*graph.Tensor{graph.Floats([]float32{7, 7})}, Want: []*graph.Tensor{graph.Floats([]float32{3, 3})},
		}}
	},
}
