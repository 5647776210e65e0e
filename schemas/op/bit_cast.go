package op

import "mnnconv/graph"

// BitCast is ONNX BitCast.
var BitCast = &Op{
	Name: "BitCast", Since: 26,
	Doc:    "The same bits as elements of another dtype of the same width. The data is shared.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"to"},
	Infer: func(in *Inference) error {
		to, err := dtypeAttr(in.Node, "to")
		if err != nil {
			return err
		}
		t := in.Type(0)
		if err := sameWidth(t.DType, to); t.DType.Valid() && err != nil {
			return err
		}
		in.SetTensor(0, to, t.Shape)
		return nil
	},
	Eval: func(c *Call) error {
		to, err := dtypeAttr(c.Node, "to")
		if err != nil {
			return err
		}
		y := *c.Arg(0)
		if err := sameWidth(y.DType, to); err != nil {
			return err
		}
		y.DType, y.Source = to, nil
		c.Set(0, &y)
		return nil
	},
	Cases: func() []Case {
		to := func(d graph.DType) []graph.Attr { return []graph.Attr{{Name: "to", Value: int64(d)}} }
		return []Case{
			{
				Name: "float to int32", Attrs: to(graph.Int32), In: []*graph.Tensor{graph.Floats([]float32{1, -2}, 2, 1)},
				Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{0x3f800000, -0x40000000}, 2, 1)},
			},
			{
				Name: "int8 to bool", Attrs: to(graph.Bool), In: []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{0, 1})},
				Want: []*graph.Tensor{bools([]bool{false, true})},
			},
		}
	},
}

// sameWidth returns an error unless elements of both dtypes have the same bits.
func sameWidth(from, to graph.DType) error {
	if from.Bits() != to.Bits() || from.Bits() == 0 {
		return inputErrorf("elements of %s cannot be read as %s", from, to)
	}
	return nil
}
