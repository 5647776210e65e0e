package op

import (
	"slices"

	"mnnconv/graph"
)

// Conv is ONNX Conv.
var Conv = &Op{
	Name: "Conv", Since: 1,
	Doc: "Y[n, m, ...] = B[m] + Σ X[n, c, ...]·W[m, c, ...] over the channels c of m's group and the taps of the kernel, " +
		"with strides, dilations and zero padding, for any number of spatial axes; floats of 16 bits sum in float32.",
	Inputs: []string{"X", "W", "B?"}, Outputs: []string{"Y"},
	Attrs: []string{"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"},
	Infer: func(in *Inference) error {
		d, err := in.commonDType(0, 1, 2)
		if err != nil {
			return err
		}
		return inferConv(in, d)
	},
	Eval: func(c *Call) error {
		d := c.Arg(0).DType
		if c.Arg(1).DType != d || c.Arg(2) != nil && c.Arg(2).DType != d {
			return inputErrorf("X is %s and W %s, and B must be the same", d, c.Arg(1).DType)
		}
		switch {
		case d == graph.Float64:
			return conv[float64](c)
		case isReal(d):
			return conv[float32](c)
		}
		return undefinedFor(d)
	},
	FLOPs: convFLOPs,
	Cases: func() []Case {
		return []Case{{
			Name:  "3-D patches, kernel equal to stride",
			Attrs: []graph.Attr{{Name: "strides", Value: []int64{1, 2, 2}}, {Name: "kernel_shape", Value: []int64{1, 2, 2}}},
			In: []*graph.Tensor{
				graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 1, 1, 2, 4), graph.Floats([]float32{1, 1, 1, 1, 1, 0, 0, -1}, 2, 1, 1, 2, 2),
				graph.Floats([]float32{0, 100}),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{14, 22, 95, 95}, 1, 2, 1, 1, 2)},
		}, {
			Name:  "1-D, groups, dilation, padding",
			Attrs: []graph.Attr{{Name: "group", Value: int64(2)}, {Name: "dilations", Value: []int64{2}}, {Name: "pads", Value: []int64{1, 1}}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 10, 20, 30}, 1, 2, 3), graph.Floats([]float32{1, 2, 1, -1}, 2, 1, 2)},
			Want:  []*graph.Tensor{graph.Floats([]float32{4, 7, 2, -20, -20, 20}, 1, 2, 3)},
		}, {
			Name:  "2-D, SAME_LOWER",
			Attrs: []graph.Attr{{Name: "auto_pad", Value: "SAME_LOWER"}, {Name: "strides", Value: []int64{2, 2}}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 1, 3, 3), graph.Floats([]float32{1, 1, 1, 1}, 1, 1, 2, 2)},
			Want:  []*graph.Tensor{graph.Floats([]float32{1, 5, 11, 28}, 1, 1, 2, 2)},
		}, {
			Name: "no batch",
			In:   []*graph.Tensor{graph.Floats(nil, 0, 1, 3), graph.Floats([]float32{1, 1}, 1, 1, 2)},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 1, 2)},
		}}
	},
}

func conv[T floating](c *Call) error {
	x, weight, bias := c.Arg(0), c.Arg(1), c.Arg(2)
	k, err := newConvolution(c.Node, x.Shape, weight.Shape)
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
	var bs []T
	if bias != nil {
		if bs, err = elementsAs[T](bias); err != nil {
			return err
		}
		if int64(len(bs)) != weight.Shape[0] {
			return inputErrorf("%d biases for %d output channels", len(bs), weight.Shape[0])
		}
	}
	y, err := c.New(0, x.DType, k.out...)
	if err != nil {
		return err
	}
	z := accumulator[T](y)
	if err := convolve(c, k, z, xs, ws); err != nil {
		return err
	}
	if size := k.places; bs != nil && size > 0 {
		for i := range z {
			z[i] += bs[i/size%len(bs)]
		}
	}
	return finish(y, z)
}

// convolution is the geometry of one call.
type convolution struct {
	*window
	batch, channels, features, group int
	places                           int     // of the kernel, per image
	out                              []int64 // shape of the result
}

func newConvolution(n *graph.Node, x, w []int64) (*convolution, error) {
	if len(x) < 3 || len(w) != len(x) {
		return nil, inputErrorf("convolution of shape %v with weights of shape %v", x, w)
	}
	if k := n.Ints("kernel_shape"); k != nil && !slices.Equal(k, w[2:]) {
		return nil, inputErrorf("kernel_shape is %v, the weights have shape %v", k, w)
	}
	group := n.Int("group", 1)
	if group < 1 || w[0]%group != 0 || x[1]%group != 0 || x[1]/group != w[1] {
		return nil, inputErrorf("%d channels in %d groups with weights of shape %v", x[1], group, w)
	}
	win, err := newWindow(n, w[2:])
	if err != nil {
		return nil, err
	}
	if err := win.fit(x[2:]); err != nil {
		return nil, err
	}
	out := append([]int64{x[0], w[0]}, win.out...)
	if _, err := graph.Elements(out); err != nil {
		return nil, inputErrorf("%v", err)
	}
	places, err := graph.Elements(win.out)
	if err != nil {
		return nil, inputErrorf("%v", err)
	}
	return &convolution{win, int(x[0]), int(x[1]), int(w[0]), int(group), int(places), out}, nil
}

// convRows is the number of kernel places that share one pass over the weights.
const convRows = 16

// convolve stores the convolution of x with w in z, which has the result's
// shape: what the kernel covers is gathered into rows, and each row multiplied
// with each feature's weights. Sums run over channels, then taps, in row-major order.
func convolve[T ring](c *Call, k *convolution, z, x, w []T) error {
	if len(z) == 0 || len(w) == 0 || len(x) == 0 {
		return nil // without channels, every sum is empty
	}
	channels, features := k.channels/k.group, k.features/k.group
	size, plane := len(w)/k.features, len(x)/(k.batch*k.channels)
	rows, sums := make([]T, convRows*size), make([]T, convRows)
	for g := range k.group {
		filled, first := 0, 0 // rows hold the places first..first+filled, counted over all images
		flush := func() {
			for f := g * features; f < (g+1)*features; f++ {
				dots(sums, w[f*size:][:size], rows, size, filled)
				for i, s := range sums[:filled] {
					p := first + i
					z[(p/k.places*k.features+f)*k.places+p%k.places] = s
				}
			}
			first, filled = first+filled, 0
		}
		for n := range k.batch {
			if err := c.Ctx.Err(); err != nil {
				return err
			}
			image := x[(n*k.channels+g*channels)*plane:][:channels*plane]
			k.positions(func(_ int, origin []int64) {
				gather(k.window, rows[filled*size:][:size], image, plane, origin)
				if filled++; filled == convRows {
					flush()
				}
			})
		}
		flush()
	}
	return nil
}

// gather copies what the kernel covers from origin into row, channel by
// channel; padding reads as 0. The channels of image are plane elements apart.
func gather[T ring](w *window, row, image []T, plane int, origin []int64) {
	last := len(w.kernel) - 1
	width, dil := int(w.kernel[last]), int(w.dilation[last])
	from, to := w.taps(last, origin[last])
	lines := len(row) / (len(image) / plane) / width
	clear(row)
	at := make([]int64, last)
	for l := range lines {
		line, ok := 0, true
		for d, t := range at {
			p := origin[d] + t*w.dilation[d]
			ok = ok && p >= 0 && p < w.in[d]
			line = line*int(w.in[d]) + int(p)
		}
		step(at, w.kernel[:last])
		if !ok || from == to {
			continue
		}
		src := line*int(w.in[last]) + int(origin[last])
		for ch := 0; ch*plane < len(image); ch++ {
			dst := row[(ch*lines+l)*width:][:width]
			for t := int(from); t < int(to); t++ {
				dst[t] = image[ch*plane+src+t*dil]
			}
		}
	}
}

// inferConv infers the result of a convolution of inputs 0 and 1.
func inferConv(in *Inference, dtype graph.DType) error {
	in.SetTensor(0, dtype, nil)
	x, w := in.Type(0).Shape, in.Type(1).Shape
	if !x.Ranked() && !w.Ranked() {
		return nil
	}
	if x.Ranked() && len(x) < 3 || w.Ranked() && len(w) < 3 || x.Ranked() && w.Ranked() && len(x) != len(w) {
		return in.Errorf("convolution of shape %s with weights of shape %s", x, w)
	}
	rank := max(len(x), len(w))
	out := in.FreshShape("conv", rank)
	if w.Ranked() {
		out[1] = w[0]
	}
	if x.Ranked() {
		out[0] = x[0]
	}
	in.SetTensor(0, dtype, out)
	if !x.Ranked() {
		return nil
	}
	kernel := in.Node.Ints("kernel_shape")
	if w.Ranked() {
		if _, err := in.agree("channels", x[1], w[1].Mul(graph.Const(in.Node.Int("group", 1)))); err != nil {
			return err
		}
		if k, ok := w[2:].Ints(); ok && kernel == nil {
			kernel = k
		}
	}
	if kernel == nil {
		return nil
	}
	if len(kernel) != rank-2 {
		return in.Errorf("kernel_shape is %v for shape %s", kernel, x)
	}
	win, err := newWindow(in.Node, kernel)
	if err != nil {
		return err
	}
	spatial, err := win.infer(in, x[2:])
	copy(out[2:], spatial)
	return err
}
