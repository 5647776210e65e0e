package op

import "mnnconv/graph"

// CastLike is ONNX CastLike: Cast to the dtype of a second tensor.
var CastLike = &Op{
	Name: "CastLike", Since: 15,
	Doc:    "output = input, element by element, in the dtype of target_type, whose elements do not matter; see Cast.",
	Inputs: []string{"input", "target_type"}, Outputs: []string{"output"},
	Attrs: []string{"saturate", "round_mode"},
	Infer: func(in *Inference) error {
		inferCast(in, in.Type(1).DType)
		return nil
	},
	Eval: func(c *Call) error { return evalCast(c, c.Arg(1).DType) },
	Cases: func() []Case {
		return []Case{{
			Name: "float to float16",
			In:   []*graph.Tensor{graph.Floats([]float32{1.5, 1e6}, 2, 1), narrow(graph.Float16, []float32{0})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3e00, 0x7c00}, 2, 1)},
		}, {
			Name: "int64 to int32, target without elements",
			In:   []*graph.Tensor{graph.Ints([]int64{3, -4}), graph.FromSlice(graph.Int32, []int32{}, 0)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{3, -4})},
		}}
	},
}
