package op

import "mnnconv/graph"

// ConvInteger is ONNX ConvInteger.
var ConvInteger = &Op{
	Name: "ConvInteger", Since: 10,
	Doc: "Y = Conv(x - x_zero_point, w - w_zero_point) in int32, with x and w of 8 bits; padding stands for x_zero_point. " +
		"w_zero_point is one number or one per output channel.",
	Inputs: []string{"x", "w", "x_zero_point?", "w_zero_point?"}, Outputs: []string{"y"},
	Attrs: []string{"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
	Infer: func(in *Inference) error { return inferConv(in, graph.Int32) },
	Eval: func(c *Call) error {
		x, w := c.Arg(0), c.Arg(1)
		k, err := newConvolution(c.Node, x.Shape, w.Shape)
		if err != nil {
			return err
		}
		xs, err := centred(x, c.Arg(2), 1, 1, false)
		if err != nil {
			return err
		}
		ws, err := centred(w, c.Arg(3), k.features, w.Len()/max(k.features, 1), false)
		if err != nil {
			return err
		}
		y, err := c.New(0, graph.Int32, k.out...)
		if err != nil {
			return err
		}
		return convolve(c, k, graph.View[int32](y), xs, ws)
	},
	Cases: func() []Case {
		x := graph.FromSlice(graph.Uint8, []uint8{2, 3, 4, 5, 6, 7, 8, 9, 10}, 1, 1, 3, 3)
		return []Case{{
			Name: "zero point of x",
			In:   []*graph.Tensor{x, graph.FromSlice(graph.Uint8, []uint8{1, 1, 1, 1}, 1, 1, 2, 2), graph.FromSlice(graph.Uint8, []uint8{1})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{12, 16, 24, 28}, 1, 1, 2, 2)},
		}, {
			Name:  "zero point per output channel, padding",
			Attrs: []graph.Attr{{Name: "pads", Value: []int64{0, 0, 0, 1}}},
			In: []*graph.Tensor{
				graph.FromSlice(graph.Uint8, []uint8{3, 5}, 1, 1, 1, 2), graph.FromSlice(graph.Int8, []int8{1, 2, 1, 2}, 2, 1, 1, 2),
				graph.FromSlice(graph.Uint8, []uint8{1}), graph.FromSlice(graph.Int8, []int8{0, 1}),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{10, 4, 4, 0}, 1, 2, 1, 2)},
		}}
	},
}
