package op

import "mnnconv/graph"

// RandomNormal is ONNX RandomNormal.
var RandomNormal = &Op{
	Name: "RandomNormal", Since: 1,
	Doc:     "Normally distributed numbers of the attributes mean and scale, in the given shape; the same ones in each call only with a seed. Not the numbers of any other runtime.",
	Outputs: []string{"output"}, Attrs: []string{"dtype", "mean", "scale", "seed", "shape"},
	Random: true,
	Infer:  inferRandom,
	Eval:   evalNormal,
	Cases: func() []Case {
		return []Case{{ // of no width, so that the numbers are known
			Name: "no width", Attrs: []graph.Attr{{Name: "mean", Value: float32(3)}, {Name: "scale", Value: float32(0)}, {Name: "shape", Value: []int64{2}}},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 3})},
		}}
	},
}
