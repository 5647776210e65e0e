package op

import "mnnconv/graph"

// MatMulInteger is ONNX MatMulInteger.
var MatMulInteger = &Op{
	Name: "MatMulInteger", Since: 10,
	Doc:    "Y = (A - a_zero_point)·(B - b_zero_point) in int32, with A and B of 8 bits; a zero point is one number, or one per row of A or column of B.",
	Inputs: []string{"A", "B", "a_zero_point?", "b_zero_point?"}, Outputs: []string{"Y"},
	Infer: func(in *Inference) error {
		s, err := in.matrixShape(in.Type(0).Shape, in.Type(1).Shape)
		in.SetTensor(0, graph.Int32, s)
		return err
	},
	Eval: func(c *Call) error {
		sum, err := integerProduct(c.Arg(0), c.Arg(2), c.Arg(1), c.Arg(3))
		if err != nil {
			return err
		}
		c.Set(0, sum)
		return nil
	},
	FLOPs: productFLOPs,
	Cases: func() []Case {
		return []Case{{
			Name: "scalar zero points",
			In: []*graph.Tensor{
				graph.FromSlice(graph.Uint8, []uint8{11, 7, 3, 10}, 2, 2), graph.FromSlice(graph.Int8, []int8{1, 4, 2, -5}, 2, 2),
				graph.FromSlice(graph.Uint8, []uint8{12}), graph.FromSlice(graph.Int8, []int8{0}),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-11, 21, -13, -26}, 2, 2)},
		}, {
			Name: "zero point per column",
			In: []*graph.Tensor{
				graph.FromSlice(graph.Uint8, []uint8{1, 2}, 1, 2), graph.FromSlice(graph.Uint8, []uint8{10, 20, 30, 40}, 2, 2),
				nil, graph.FromSlice(graph.Uint8, []uint8{10, 20}),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{40, 40}, 1, 2)},
		}, {
			Name: "no zero points, extremes",
			In: []*graph.Tensor{
				graph.FromSlice(graph.Int8, []int8{-128, -128}, 1, 2), graph.FromSlice(graph.Uint8, []uint8{255, 255}, 2, 1),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-65280}, 1, 1)},
		}}
	},
}

// integerProduct returns (a - za)·(b - zb) in int32, which wraps as C does.
func integerProduct(a, za, b, zb *graph.Tensor) (*graph.Tensor, error) {
	s, err := matrixStacks(a.Shape, b.Shape, matmulForm{})
	if err != nil {
		return nil, err
	}
	x, err := centred(a, za, s.m, s.k, false)
	if err != nil {
		return nil, err
	}
	y, err := centred(b, zb, s.k, s.n, true)
	if err != nil {
		return nil, err
	}
	out, err := graph.NewTensor(graph.Int32, s.out...)
	if err != nil {
		return nil, err
	}
	z := graph.View[int32](out)
	return out, s.each(func(i, ia, ib int) error {
		addProduct(z[i*s.m*s.n:][:s.m*s.n], x[ia*s.m*s.k:], y[ib*s.k*s.n:], s.m, s.k, s.n)
		return nil
	})
}

// centred returns t less its zero point in int32. t is a stack of matrices of
// rows×cols; the zero point is absent, one number, or a vector along the columns,
// or else the rows.
func centred(t, zero *graph.Tensor, rows, cols int, columns bool) ([]int32, error) {
	if t.DType != graph.Int8 && t.DType != graph.Uint8 {
		return nil, undefinedFor(t.DType)
	}
	v := make([]int32, t.Len())
	for i, b := range t.Data {
		v[i] = int32(b)
		if t.DType == graph.Int8 {
			v[i] = int32(int8(b))
		}
	}
	if zero == nil {
		return v, nil
	}
	if zero.DType != t.DType {
		return nil, inputErrorf("zero point of %s for %s", zero.DType, t.DType)
	}
	z, err := zero.Int64s()
	if err != nil {
		return nil, err
	}
	want, step, wrap := rows, cols, rows
	if columns {
		want, step, wrap = cols, 1, cols
	}
	switch {
	case len(z) == 1:
		step, wrap = 1, 1
	case len(zero.Shape) != 1 || len(z) != want:
		return nil, inputErrorf("zero point of shape %v for matrices of %d by %d", zero.Shape, rows, cols)
	}
	for i := range v {
		v[i] -= int32(z[i/step%wrap])
	}
	return v, nil
}
