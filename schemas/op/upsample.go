package op

import "mnnconv/graph"

// Upsample is ONNX Upsample, which Resize replaced in version 10.
var Upsample = &Op{
	Name: "Upsample", Since: 7,
	Doc:    "X resampled by scales, an attribute before version 9, with mode nearest (the element before, where an axis shrinks the one behind) or linear, at coordinates i/scale.",
	Inputs: []string{"X", "scales?"}, Outputs: []string{"Y"}, Attrs: []string{"mode", "scales"},
	Infer: func(in *Inference) error {
		t := in.Type(0)
		in.SetTensor(0, t.DType, nil)
		if !t.Shape.Ranked() {
			return nil
		}
		in.SetTensor(0, t.DType, in.FreshShape("resize", len(t.Shape)))
		x, ok := t.Shape.Ints()
		scales := upsampleScales(in.Node, in.Const(1))
		if !ok || scales == nil {
			return nil
		}
		_, shape, err := resizeTo(in.Node, x, intsTo(len(x)), scales, nil)
		if err == nil {
			in.SetTensor(0, t.DType, graph.Shape(dimsOf(shape)))
		}
		return err
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		axes := intsTo(len(x.Shape))
		scales, shape, err := resizeTo(c.Node, x.Shape, axes, upsampleScales(c.Node, c.Arg(1)), nil)
		if err != nil {
			return err
		}
		r, err := newResampler(c.Node)
		if err != nil {
			return err
		}
		return c.resample(r, axes, scales, shape, nil)
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2}, 1, 2)
		return []Case{
			{Name: "nearest", Version: 9, In: []*graph.Tensor{x, graph.Floats([]float32{2, 2})}, Want: []*graph.Tensor{graph.Floats([]float32{1, 1, 2, 2, 1, 1, 2, 2}, 2, 4)}},
			{
				Name: "linear, attribute", Version: 7, Attrs: []graph.Attr{{Name: "mode", Value: "linear"}, {Name: "scales", Value: []float32{1, 2}}},
				In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Floats([]float32{1, 1.5, 2, 2}, 1, 4)},
			},
		}
	},
}

// upsampleScales returns the scales of an input, if it is there, or the attribute.
func upsampleScales(n *graph.Node, input *graph.Tensor) *graph.Tensor {
	if v := n.Floats("scales"); v != nil && n.In(1) == nil {
		return graph.Floats(v)
	}
	return input
}

// intsTo returns 0 … n-1.
func intsTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
