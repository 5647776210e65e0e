package op

import "mnnconv/graph"

// LpPool is ONNX LpPool.
var LpPool = &Op{
	Name: "LpPool", Since: 2,
	Doc:    "Y is (Σ |x|^p)^(1/p) over what the kernel covers at each of its places; p is 2 by default, padding counts as zeros. Kept in float64 and rounded once.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"auto_pad", "ceil_mode", "dilations", "kernel_shape", "p", "pads", "strides"},
	Infer: inferPool,
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		p, err := normOrder(c.Node)
		if err != nil {
			return err
		}
		w, shape, err := newPool(c)
		if err != nil {
			return err
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, shape...)
		if err != nil || len(out.Data) == 0 {
			return err
		}
		places, err := graph.Elements(w.out)
		if err != nil {
			return err
		}
		y := make([]float64, out.Len())
		images := len(y) / int(places)
		plane := len(v) / images
		var covered []float64
		for n := range images {
			if err := c.Ctx.Err(); err != nil {
				return err
			}
			image := v[n*plane:][:plane]
			w.positions(func(i int, origin []int64) {
				covered = covered[:0]
				w.cover(origin, func(j int) { covered = append(covered, image[j]) })
				y[n*int(places)+i] = lpNorm(covered, p)
			})
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		return []Case{{
			Name:  "padding",
			Attrs: []graph.Attr{{Name: "kernel_shape", Value: []int64{2}}, {Name: "pads", Value: []int64{1, 0}}},
			In:    []*graph.Tensor{graph.Floats([]float32{3, 4, 0}, 1, 1, 3)},
			Want:  []*graph.Tensor{graph.Floats([]float32{3, 5, 4}, 1, 1, 3)},
		}}
	},
}
