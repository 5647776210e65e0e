package op

import (
	"slices"

	"mnnconv/graph"
)

// ConvTranspose is ONNX ConvTranspose.
var ConvTranspose = &Op{
	Name: "ConvTranspose", Since: 1,
	Doc: "The transpose of Conv: every element of X [N, C, ...] adds its multiple of the kernel W [C, M/group, ...] to Y [N, M, ...] at its place times strides, " +
		"less the padding, plus B. output_shape sets the padding. Floats of 16 bits sum in float32.",
	Inputs: []string{"X", "W", "B?"}, Outputs: []string{"Y"},
	Attrs: []string{"auto_pad", "dilations", "group", "kernel_shape", "output_padding", "output_shape", "pads", "strides"},
	Infer: func(in *Inference) error {
		d, err := in.commonDType(0, 1, 2)
		if err != nil {
			return err
		}
		in.SetTensor(0, d, nil)
		x, w := in.Type(0).Shape, in.Type(1).Shape
		if !x.Ranked() {
			return nil
		}
		out := in.FreshShape("conv", len(x))
		in.SetTensor(0, d, out)
		if len(x) < 3 || w.Ranked() && len(w) != len(x) {
			return in.Errorf("transposed convolution of shape %s with weights of shape %s", x, w)
		}
		out[0] = x[0]
		if !w.Ranked() {
			return nil
		}
		out[1] = w[1].Mul(graph.Const(in.Node.Int("group", 1)))
		spatial, ok := x[2:].Ints()
		kernel, fixed := w[2:].Ints()
		if !ok || !fixed {
			return nil
		}
		k, err := newTransposed(in.Node, spatial, kernel)
		if err != nil {
			return err
		}
		for i, n := range k.in {
			out[i+2] = graph.Const(n)
		}
		return nil
	},
	Eval: func(c *Call) error {
		d := c.Arg(0).DType
		if c.Arg(1).DType != d || c.Arg(2) != nil && c.Arg(2).DType != d {
			return inputErrorf("X is %s and W %s, and B must be the same", d, c.Arg(1).DType)
		}
		switch {
		case d == graph.Float64:
			return convTranspose[float64](c)
		case isReal(d):
			return convTranspose[float32](c)
		}
		return undefinedFor(d)
	},
	Cases: func() []Case {
		x, w := graph.Floats([]float32{1, 2}, 1, 1, 2), graph.Floats([]float32{1, 10, 100}, 1, 1, 3)
		attr := func(name string, v ...int64) graph.Attr { return graph.Attr{Name: name, Value: v} }
		return []Case{
			{Name: "1-D", In: []*graph.Tensor{x, w, graph.Floats([]float32{5})}, Want: []*graph.Tensor{graph.Floats([]float32{6, 17, 125, 205}, 1, 1, 4)}},
			{
				Name: "strides, padding, output_padding", Attrs: []graph.Attr{attr("strides", 2), attr("pads", 1, 0), attr("output_padding", 1)},
				In: []*graph.Tensor{x, w}, Want: []*graph.Tensor{graph.Floats([]float32{10, 102, 20, 200, 0}, 1, 1, 5)},
			},
			{
				Name: "output_shape", Attrs: []graph.Attr{attr("strides", 2), attr("output_shape", 4)},
				In: []*graph.Tensor{x, w}, Want: []*graph.Tensor{graph.Floats([]float32{1, 10, 102, 20}, 1, 1, 4)},
			},
			{
				Name: "groups", Attrs: []graph.Attr{{Name: "group", Value: int64(2)}},
				In:   []*graph.Tensor{graph.Floats([]float32{1, 2}, 1, 2, 1), graph.Floats([]float32{1, 2, 3, 4}, 2, 1, 2)},
				Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 6, 8}, 1, 2, 2)},
			},
		}
	},
}

// newTransposed returns the window of the convolution whose transpose the node
// is: its input is the node's output and its places the node's input.
func newTransposed(n *graph.Node, x, kernel []int64) (*window, error) {
	if k := n.Ints("kernel_shape"); k != nil && !slices.Equal(k, kernel) {
		return nil, inputErrorf("kernel_shape is %v, the weights have %v", k, kernel)
	}
	w, err := newWindow(n, kernel)
	if err != nil {
		return nil, err
	}
	extra := make([]int64, len(kernel))
	if p := n.Ints("output_padding"); p != nil {
		if err := checkSizes("output_padding", p, len(kernel), 0); err != nil {
			return nil, err
		}
		extra = p
	}
	shape := n.Ints("output_shape")
	if len(shape) == len(kernel)+2 {
		shape = shape[2:]
	}
	if shape != nil {
		if err := checkSizes("output_shape", shape, len(kernel), 0); err != nil {
			return nil, err
		}
	}
	w.out, w.in = x, make([]int64, len(x))
	for i, places := range x {
		if places > graph.MaxElements {
			return nil, inputErrorf("spatial extent %d", places)
		}
		full := (places-1)*w.stride[i] + extra[i] + w.reach(i)
		if shape == nil && !w.same {
			w.in[i] = full - w.before[i] - w.after[i]
		} else {
			w.in[i] = places * w.stride[i]
			if shape != nil {
				w.in[i] = shape[i]
			}
			pad := max(full-w.in[i], 0) // what is padded at an end is cut off there
			w.before[i], w.after[i] = pad/2, pad-pad/2
			if w.lower {
				w.before[i], w.after[i] = w.after[i], w.before[i]
			}
		}
		if w.in[i] < 0 {
			return nil, inputErrorf("pads %v and %v take more than there is", w.before, w.after)
		}
	}
	return w, nil
}

func convTranspose[T floating](c *Call) error {
	x, weight, bias := c.Arg(0), c.Arg(1), c.Arg(2)
	if len(x.Shape) < 3 || len(weight.Shape) != len(x.Shape) {
		return inputErrorf("transposed convolution of shape %v with weights of shape %v", x.Shape, weight.Shape)
	}
	group := c.Node.Int("group", 1)
	if group < 1 || x.Shape[1]%group != 0 || weight.Shape[0] != x.Shape[1] || weight.Shape[1] > graph.MaxElements/group {
		return inputErrorf("%d channels in %d groups with weights of shape %v", x.Shape[1], group, weight.Shape)
	}
	win, err := newTransposed(c.Node, x.Shape[2:], weight.Shape[2:])
	if err != nil {
		return err
	}
	xs, err := elementsAs[T](x)
	if err != nil {
		return err
	}
	ws, err := elementsAs[T](weight)
	if err != nil {
		return err
	}
	features, perGroup := int(weight.Shape[1]*group), int(weight.Shape[1])
	y, err := c.New(0, x.DType, append([]int64{x.Shape[0], int64(features)}, win.in...)...)
	if err != nil {
		return err
	}
	z := accumulator[T](y)
	channels, taps := int(x.Shape[1]), count(weight.Shape[2:])
	plane, image := count(x.Shape[2:]), count(win.in)
	for i := 0; len(z) > 0 && i < len(xs); i += plane {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		n, ch := i/plane/channels, i/plane%channels
		first := n*features + ch/(channels/int(group))*perGroup
		for m := range perGroup {
			out := z[(first+m)*image:][:image]
			kernel := ws[(ch*perGroup+m)*taps:][:taps]
			win.positions(func(p int, origin []int64) {
				win.each(origin, func(tap, at int) { out[at] += T(kernel[tap] * xs[i+p]) })
			})
		}
	}
	if bias != nil {
		bs, err := elementsAs[T](bias)
		if err != nil {
			return err
		}
		if len(bs) != features {
			return inputErrorf("%d biases for %d output channels", len(bs), features)
		}
		for i := range z {
			z[i] += bs[i/image%features]
		}
	}
	return finish(y, z)
}
