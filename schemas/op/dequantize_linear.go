package op

import "mnnconv/graph"

// DequantizeLinear is ONNX DequantizeLinear.
var DequantizeLinear = &Op{
	Name: "DequantizeLinear", Since: 10,
	Doc: "y = (x - x_zero_point)·x_scale with one scale, one per index of axis, or one per block_size indices of axis; " +
		"computed in float32 and rounded once to the type of x_scale or output_dtype.",
	Inputs: []string{"x", "x_scale", "x_zero_point?"}, Outputs: []string{"y"},
	Attrs: []string{"axis", "block_size", "output_dtype"},
	Infer: func(in *Inference) error {
		dtype, err := dtypeAttr(in.Node, "output_dtype")
		if err != nil {
			return err
		}
		if dtype == graph.Undefined {
			dtype = in.Type(1).DType
		}
		in.SetTensor(0, dtype, in.Type(0).Shape)
		return inferScales(in)
	},
	Eval: func(c *Call) error {
		x, scale, zero := c.Arg(0), c.Arg(1), c.Arg(2)
		dtype, err := dtypeAttr(c.Node, "output_dtype")
		if err != nil {
			return err
		}
		if dtype == graph.Undefined {
			dtype = scale.DType
		}
		switch x.DType {
		case graph.Float32, graph.Float64, graph.Float16, graph.BFloat16, graph.Int64, graph.Uint64, graph.Uint32, graph.Bool:
			return undefinedFor(x.DType)
		}
		grid, err := newScaleGrid(x.Shape, scale.Shape, c.Node.Int("axis", 1), c.Node.Int("block_size", 0))
		if err != nil {
			return err
		}
		v, err := x.Float32s()
		if err != nil {
			return err
		}
		s, err := scale.Float32s()
		if err != nil {
			return err
		}
		var z []float32
		if zero != nil {
			if err := checkZeroPoint(zero, scale); err != nil {
				return err
			}
			if z, err = zero.Float32s(); err != nil {
				return err
			}
		}
		out, err := c.New(0, dtype, x.Shape...)
		if err != nil {
			return err
		}
		y := accumulator[float32](out)
		grid.each(func(from, to, si, step int) {
			for i := from; i < to; i++ {
				d := v[i]
				if z != nil {
					d -= z[si]
				}
				y[i] = d * s[si]
				si += step
			}
		})
		return finish(out, y)
	},
	Cases: func() []Case {
		int4 := func(data []byte, shape ...int64) *graph.Tensor {
			return &graph.Tensor{DType: graph.Int4, Shape: shape, Data: data}
		}
		return []Case{{
			Name: "per tensor",
			In: []*graph.Tensor{
				graph.FromSlice(graph.Uint8, []uint8{0, 3, 128, 255}), graph.Floats([]float32{2}), graph.FromSlice(graph.Uint8, []uint8{128}),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{-256, -250, 0, 254})},
		}, {
			Name:  "per axis, counted from the end",
			Attrs: []graph.Attr{{Name: "axis", Value: int64(-2)}},
			In: []*graph.Tensor{
				graph.FromSlice(graph.Int8, []int8{1, 2, 3, 4}, 2, 2), graph.Floats([]float32{1, 10}), graph.FromSlice(graph.Int8, []int8{0, 1}),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 20, 30}, 2, 2)},
		}, {
			Name:  "int4 in blocks, the last one short",
			Attrs: []graph.Attr{{Name: "axis", Value: int64(0)}, {Name: "block_size", Value: int64(2)}},
			In:    []*graph.Tensor{int4([]byte{0x21, 0xf3, 0x87}, 3, 2), graph.Floats([]float32{1, 2, 10, 20}, 2, 2)},
			Want:  []*graph.Tensor{graph.Floats([]float32{1, 4, 3, -2, 70, -160}, 3, 2)},
		}, {
			Name: "float8 to float16", Version: 19,
			In: []*graph.Tensor{
				graph.FromSlice(graph.Float8E4M3FN, []uint8{0x38, 0xc0}), graph.FromSlice(graph.Float16, []uint16{0x4000}),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x4000, 0xc400})},
		}, {
			Name: "int32 without elements",
			In:   []*graph.Tensor{graph.FromSlice[int32](graph.Int32, nil, 0, 2), graph.Floats([]float32{1, 2})},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 2)},
		}}
	},
}

// inferScales checks what is known of the shapes of a tensor (input 0) and its
// scales (input 1) against each other.
func inferScales(in *Inference) error {
	x, scale := in.Type(0).Shape, in.Type(1).Shape
	if !x.Ranked() || len(scale) == 0 {
		return nil
	}
	if in.Node.Int("block_size", 0) != 0 {
		if len(scale) != len(x) {
			return in.Errorf("scales of shape %s for blocks of a tensor of shape %s", scale, x)
		}
		return nil
	}
	if len(scale) > 1 {
		return in.Errorf("scales of shape %s without block_size", scale)
	}
	if n, ok := scale[0].Int(); !ok || n == 1 {
		return nil
	}
	a, err := resolveAxis(in.Node.Int("axis", 1), len(x))
	if err == nil {
		_, err = in.agree("quantised axis and its scales", x[a], scale[0])
	}
	return err
}
