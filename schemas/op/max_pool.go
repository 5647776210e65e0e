package op

import "mnnconv/graph"

// MaxPool is ONNX MaxPool.
var MaxPool = &Op{
	Name: "MaxPool", Since: 1,
	Doc: "Y is the largest element under the kernel at each of its places, padding left out; NaN counts only where there is nothing else. " +
		"Indices are those elements' places in X, counted row by row, or with storage_order 1 column by column within an image.",
	Inputs: []string{"X"}, Outputs: []string{"Y", "Indices?"},
	Attrs: []string{"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"},
	Infer: inferPool,
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if !isReal(x.DType) && x.DType != graph.Int8 && x.DType != graph.Uint8 {
			return undefinedFor(x.DType)
		}
		w, shape, err := newPool(c)
		if err != nil {
			return err
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		y, err := c.New(0, x.DType, shape...)
		if err != nil {
			return err
		}
		indices, err := c.New(1, graph.Int64, shape...)
		if err != nil || len(y.Data) == 0 {
			return err
		}
		places, err := graph.Elements(w.out)
		if err != nil {
			return err
		}
		images := y.Len() / int(places)
		plane, width := len(v)/images, x.DType.Bits()/8
		idx := graph.View[int64](indices)
		byColumn := c.Node.Int("storage_order", 0) != 0
		for n := range images {
			if err := c.Ctx.Err(); err != nil {
				return err
			}
			image := v[n*plane:][:plane]
			w.positions(func(i int, origin []int64) {
				best := -1
				w.cover(origin, func(j int) {
					if best < 0 || image[j] > image[best] || image[best] != image[best] {
						best = j
					}
				})
				if best < 0 {
					err = inputErrorf("a window that covers nothing but padding")
					return
				}
				out := n*int(places) + i
				copy(y.Data[out*width:][:width], x.Data[(n*plane+best)*width:])
				if idx[out] = int64(n*plane + best); byColumn {
					idx[out] = int64(n*plane) + columnIndex(int64(best), w.in)
				}
			})
		}
		return err
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1, 1, 3, 3)
		kernel := graph.Attr{Name: "kernel_shape", Value: []int64{2, 2}}
		return []Case{{
			Name: "with indices by column", Attrs: []graph.Attr{kernel, {Name: "storage_order", Value: int64(1)}},
			In:   []*graph.Tensor{x},
			Want: []*graph.Tensor{graph.Floats([]float32{5, 6, 8, 9}, 1, 1, 2, 2), graph.Ints([]int64{4, 7, 5, 8}, 1, 1, 2, 2)},
		}, {
			Name: "ceil_mode", Attrs: []graph.Attr{kernel, {Name: "ceil_mode", Value: int64(1)}, {Name: "strides", Value: []int64{2, 2}}},
			In:   []*graph.Tensor{x},
			Want: []*graph.Tensor{graph.Floats([]float32{5, 6, 8, 9}, 1, 1, 2, 2)},
		}, {
			Name:  "int8, padding and dilation",
			Attrs: []graph.Attr{{Name: "kernel_shape", Value: []int64{2}}, {Name: "pads", Value: []int64{1, 1}}, {Name: "dilations", Value: []int64{2}}},
			In:    []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{-5, -7, -3}, 1, 1, 3)},
			Want:  []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{-7, -3, -7}, 1, 1, 3), graph.Ints([]int64{1, 2, 1}, 1, 1, 3)},
		}}
	},
}

// columnIndex turns a row-major index into a column-major one.
func columnIndex(i int64, shape []int64) int64 {
	out, stride := int64(0), int64(1)
	for _, n := range shape {
		stride *= n
	}
	for d := len(shape) - 1; d >= 0; d-- {
		stride /= shape[d]
		out += i % shape[d] * stride
		i /= shape[d]
	}
	return out
}
