package op

import "mnnconv/graph"

// AveragePool is ONNX AveragePool.
var AveragePool = &Op{
	Name: "AveragePool", Since: 1,
	Doc:    "Y is the mean of what the kernel covers at each of its places; padding is left out, or with count_include_pad 1 counts as zeros. Floats of 16 bits sum in float32.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"},
	Infer: inferPool,
	Eval: func(c *Call) error {
		switch d := c.Arg(0).DType; {
		case d == graph.Float64:
			return averagePool[float64](c)
		case isReal(d):
			return averagePool[float32](c)
		default:
			return undefinedFor(d)
		}
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 1, 3, 3)
		attrs := func(more ...graph.Attr) []graph.Attr {
			return append([]graph.Attr{{Name: "kernel_shape", Value: []int64{2, 2}}, {Name: "strides", Value: []int64{2, 2}}, {Name: "pads", Value: []int64{1, 1, 0, 0}}}, more...)
		}
		return []Case{{
			Name: "padding left out", Attrs: attrs(),
			In:   []*graph.Tensor{x},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2.5, 5.5, 7}, 1, 1, 2, 2)},
		}, {
			Name: "padding counted", Attrs: attrs(graph.Attr{Name: "count_include_pad", Value: int64(1)}),
			In:   []*graph.Tensor{x},
			Want: []*graph.Tensor{graph.Floats([]float32{0.25, 1.25, 2.75, 7}, 1, 1, 2, 2)},
		}, {
			Name: "no images", Attrs: attrs(),
			In:   []*graph.Tensor{graph.Floats(nil, 0, 1, 3, 3)},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 1, 2, 2)},
		}}
	},
}

func averagePool[T floating](c *Call) error {
	x := c.Arg(0)
	w, shape, err := newPool(c)
	if err != nil {
		return err
	}
	v, err := elementsAs[T](x)
	if err != nil {
		return err
	}
	out, err := c.New(0, x.DType, shape...)
	if err != nil || len(out.Data) == 0 {
		return err
	}
	y := accumulator[T](out)
	places, err := graph.Elements(w.out)
	if err != nil {
		return err
	}
	images := len(y) / int(places)
	plane := len(v) / images
	padded := c.Node.Int("count_include_pad", 0) != 0
	for n := range images {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		image := v[n*plane:][:plane]
		w.positions(func(i int, origin []int64) {
			var sum T
			count := 0
			w.cover(origin, func(j int) { sum += image[j]; count++ })
			if padded {
				count = w.coveredWithPadding(origin)
			}
			if count > 0 {
				sum /= T(count)
			}
			y[n*int(places)+i] = sum
		})
	}
	return finish(out, y)
}

// coveredWithPadding returns how many taps lie on the input or its padding: all
// but those that ceil_mode lets hang over the end.
func (w *window) coveredWithPadding(origin []int64) int {
	count := int64(1)
	for d, o := range origin {
		count *= min(w.kernel[d], (w.in[d]+w.after[d]-o-1)/w.dilation[d]+1)
	}
	return int(count)
}
