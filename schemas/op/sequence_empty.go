package op

import "mnnconv/graph"

// SequenceEmpty is ONNX SequenceEmpty.
var SequenceEmpty = &Op{
	Name: "SequenceEmpty", Since: 11,
	Doc:     "A sequence without elements, for tensors of the given dtype (default float32).",
	Outputs: []string{"output"}, Attrs: []string{"dtype"},
	Infer: func(in *Inference) error {
		d, err := dtypeAttr(in.Node, "dtype")
		if d == graph.Undefined {
			d = graph.Float32
		}
		in.Set(0, sequenceOf(graph.Type{DType: d}))
		return err
	},
	Eval: func(c *Call) error {
		c.Set(0, sequenceTensor())
		_, err := dtypeAttr(c.Node, "dtype")
		return err
	},
	Cases: func() []Case {
		return []Case{
			{Name: "default", Want: []*graph.Tensor{sequenceTensor()}},
			{Name: "int64", Attrs: []graph.Attr{{Name: "dtype", Value: int64(graph.Int64)}}, Want: []*graph.Tensor{sequenceTensor()}},
		}
	},
}
