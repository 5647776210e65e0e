package op

import (
	"math"

	"mnnconv/graph"
)

// QuantizeLinear is ONNX QuantizeLinear.
var QuantizeLinear = &Op{
	Name: "QuantizeLinear", Since: 10,
	Doc: "y = saturate(round(x / y_scale) + y_zero_point), ties to even, with one scale, one per index of axis, or one per block_size indices of axis. " +
		"y has the type of y_zero_point, else output_dtype, else uint8; the quotient is rounded to the type that precision names, else that of y_scale. NaN becomes the zero point.",
	Inputs: []string{"x", "y_scale", "y_zero_point?"}, Outputs: []string{"y"},
	Attrs: []string{"axis", "saturate", "block_size", "output_dtype", "precision"},
	Infer: func(in *Inference) error {
		dtype, err := quantizedType(in.Node, in.Type(2).DType)
		if err != nil {
			return err
		}
		in.SetTensor(0, dtype, in.Type(0).Shape)
		return inferScales(in)
	},
	Eval: func(c *Call) error {
		x, scale, zero := c.Arg(0), c.Arg(1), c.Arg(2)
		zeroType := graph.Undefined
		if zero != nil {
			zeroType = zero.DType
		}
		dtype, err := quantizedType(c.Node, zeroType)
		if err != nil {
			return err
		}
		precision, err := dtypeAttr(c.Node, "precision")
		if err != nil {
			return err
		}
		if precision == graph.Undefined {
			precision = scale.DType
		}
		grid, err := newScaleGrid(x.Shape, scale.Shape, c.Node.Int("axis", 1), c.Node.Int("block_size", 0))
		if err != nil {
			return err
		}
		q, err := quotients(x, scale, precision, grid)
		if err != nil {
			return err
		}
		z := make([]float32, scale.Len())
		if zero != nil {
			if err := checkZeroPoint(zero, scale); err != nil {
				return err
			}
			if z, err = zero.Float32s(); err != nil {
				return err
			}
		}
		y, err := c.New(0, dtype, x.Shape...)
		if err != nil {
			return err
		}
		put, err := quantizedPut(y, c.Node.Int("saturate", 1) != 0)
		if err != nil {
			return err
		}
		grid.each(func(from, to, si, step int) {
			for i := from; i < to; i++ {
				put(i, q[i], z[si])
				si += step
			}
		})
		return nil
	},
	Cases: func() []Case {
		return []Case{{
			Name: "uint8, ties to even, saturated",
			In: []*graph.Tensor{
				graph.Floats([]float32{0, 1, 3, 5, 1000, -1000}), graph.Floats([]float32{2}), graph.FromSlice(graph.Uint8, []uint8{128}),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{128, 128, 130, 130, 255, 0})},
		}, {
			Name:  "int8 per axis",
			Attrs: []graph.Attr{{Name: "axis", Value: int64(0)}},
			In: []*graph.Tensor{
				graph.Floats([]float32{1, 2, 10, 20}, 2, 2), graph.Floats([]float32{1, 10}), graph.FromSlice(graph.Int8, []int8{0, -1}),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int8, []int8{1, 2, 0, 1}, 2, 2)},
		}, {
			Name:  "int4 in blocks without zero point",
			Attrs: []graph.Attr{{Name: "axis", Value: int64(-1)}, {Name: "block_size", Value: int64(2)}, {Name: "output_dtype", Value: int64(graph.Int4)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, -2, 30, 100}, 1, 4), graph.Floats([]float32{1, 10}, 1, 2)},
			Want:  []*graph.Tensor{{DType: graph.Int4, Shape: []int64{1, 4}, Data: []byte{0xe1, 0x73}}},
		}, {
			Name: "float8 saturates", Version: 19,
			In: []*graph.Tensor{
				graph.Floats([]float32{1, -500, 1000, 0}), graph.Floats([]float32{1}), graph.FromSlice(graph.Float8E4M3FN, []uint8{0}),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float8E4M3FN, []uint8{0x38, 0xfe, 0x7e, 0})},
		}, {
			Name: "no elements, default type", Version: 10,
			In:   []*graph.Tensor{graph.Floats(nil, 0, 3), graph.Floats([]float32{2})},
			Want: []*graph.Tensor{graph.FromSlice[uint8](graph.Uint8, nil, 0, 3)},
		}}
	},
}

// quantizedType returns the type of y; zero is that of the zero point, or Undefined.
func quantizedType(n *graph.Node, zero graph.DType) (graph.DType, error) {
	dtype, err := dtypeAttr(n, "output_dtype")
	switch {
	case err != nil:
		return 0, err
	case zero == graph.Undefined && dtype == graph.Undefined:
		return graph.Uint8, nil
	case zero == graph.Undefined:
		return dtype, nil
	case dtype != graph.Undefined && dtype != zero:
		return 0, inputErrorf("output_dtype is %s, the zero point %s", dtype, zero)
	}
	return zero, nil
}

// quotients returns x / scale, rounded to the given precision.
func quotients(x, scale *graph.Tensor, precision graph.DType, grid scaleGrid) ([]float32, error) {
	v, err := x.Float32s()
	if err != nil {
		return nil, err
	}
	s, err := scale.Float32s()
	if err != nil {
		return nil, err
	}
	q := make([]float32, len(v))
	grid.each(func(from, to, si, step int) {
		for i := from; i < to; i++ {
			q[i] = v[i] / s[si]
			si += step
		}
	})
	roundTo(precision, q)
	return q, nil
}

// quantizedPut returns what stores quotient q over zero point z as element i
// of the zeroed tensor y.
func quantizedPut(y *graph.Tensor, saturate bool) (func(i int, q, z float32), error) {
	if ints, ok := newQuantizer(y.DType); ok {
		return func(i int, q, z float32) {
			if q != q {
				q = 0
			}
			ints.put(y, i, math.RoundToEven(float64(q))+float64(z))
		}, nil
	}
	f, ok := newSmallFloat(y.DType)
	if !ok {
		return nil, undefinedFor(y.DType)
	}
	if y.DType == graph.Float4E2M1 {
		return func(i int, q, z float32) { storePacked(y, i, f.code(q+z, true)) }, nil
	}
	return func(i int, q, z float32) { y.Data[i] = f.code(q+z, saturate) }, nil
}
