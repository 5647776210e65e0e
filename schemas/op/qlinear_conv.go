package op

import (
	"math"

	"mnnconv/graph"
)

// QLinearConv is ONNX QLinearConv.
var QLinearConv = &Op{
	Name: "QLinearConv", Since: 10,
	Doc: "y = saturate(round(S·x_scale·w_scale/y_scale) + y_zero_point) with S = Conv(x - x_zero_point, w - w_zero_point) + B in int32, ties to even. " +
		"w_scale and w_zero_point are one number or one per output channel.",
	Inputs:  []string{"x", "x_scale", "x_zero_point", "w", "w_scale", "w_zero_point", "y_scale", "y_zero_point", "B?"},
	Outputs: []string{"y"},
	Attrs:   []string{"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
	Infer: func(in *Inference) error {
		// Conv's inputs 0 and 1 are 0 and 3 here.
		conv := *in
		node := *in.Node
		node.Inputs = []*graph.Value{in.Node.Inputs[0], in.Node.Inputs[3]}
		conv.Node = &node
		return inferConv(&conv, in.Type(7).DType)
	},
	Eval: func(c *Call) error {
		x, w, bias, zero := c.Arg(0), c.Arg(3), c.Arg(8), c.Arg(7)
		k, err := newConvolution(c.Node, x.Shape, w.Shape)
		if err != nil {
			return err
		}
		xs, err := centred(x, c.Arg(2), 1, 1, false)
		if err != nil {
			return err
		}
		ws, err := centred(w, c.Arg(5), k.features, w.Len()/max(k.features, 1), false)
		if err != nil {
			return err
		}
		q, ok := newQuantizer(zero.DType)
		if !ok {
			return undefinedFor(zero.DType)
		}
		var params [4]func(row, col int) float32
		for i, t := range []*graph.Tensor{c.Arg(1), c.Arg(4), c.Arg(6), zero} {
			if i != 1 && t.Len() != 1 {
				return inputErrorf("quantisation parameters of shape %v, want one", t.Shape)
			}
			if params[i], err = perLine(t, k.features, 1, false); err != nil {
				return err
			}
		}
		if bias != nil && (bias.DType != graph.Int32 || bias.Len() != k.features) {
			return inputErrorf("biases are %s, want %d of int32", bias.Type(), k.features)
		}
		y, err := c.New(0, zero.DType, k.out...)
		if err != nil {
			return err
		}
		sums := make([]int32, y.Len())
		if err := convolve(c, k, sums, xs, ws); err != nil {
			return err
		}
		for i, v := range sums {
			f := i / k.places % k.features
			if bias != nil {
				v += graph.View[int32](bias)[f]
			}
			scale := params[0](0, 0) * params[1](f, 0) / params[2](0, 0)
			q.put(y, i, math.RoundToEven(float64(float32(v)*scale))+float64(params[3](0, 0)))
		}
		return nil
	},
	Cases: func() []Case {
		one := func(f float32) *graph.Tensor { return graph.Floats([]float32{f}) }
		u8 := func(shape []int64, v ...uint8) *graph.Tensor { return graph.FromSlice(graph.Uint8, v, shape...) }
		return []Case{{
			Name: "scales per channel, bias",
			In: []*graph.Tensor{
				u8([]int64{1, 1, 2}, 3, 5), one(0.5), u8([]int64{1}, 1), u8([]int64{2, 1, 1}, 2, 3), graph.Floats([]float32{1, 2}), u8([]int64{2}, 0, 1), one(1), u8([]int64{1}, 10),
				graph.FromSlice(graph.Int32, []int32{2, -4}),
			},
			Want: []*graph.Tensor{u8([]int64{1, 2, 2}, 13, 15, 10, 14)},
		}}
	},
}
