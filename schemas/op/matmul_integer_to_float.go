package op

import "mnnconv/graph"

// MatMulIntegerToFloat and DynamicQuantizeMatMul are what onnxruntime's optimiser
// makes of MatMulInteger between DynamicQuantizeLinear and the scales.
var (
	MatMulIntegerToFloat = &Op{
		Domain: Microsoft, Name: "MatMulIntegerToFloat", Since: 1,
		Doc: "Y = (A - a_zero_point)·(B - b_zero_point)·(a_scale·b_scale) + bias, with A and B of 8 bits; the product is exact in int32, " +
			"a scale is one number or one per column of B.",
		Inputs: []string{"A", "B", "a_scale", "b_scale", "a_zero_point?", "b_zero_point?", "bias?"}, Outputs: []string{"Y"},
		Infer: func(in *Inference) error {
			s, err := in.matrixShape(in.Type(0).Shape, in.Type(1).Shape)
			in.SetTensor(0, graph.Float32, s)
			return err
		},
		Eval: func(c *Call) error {
			return scaledProduct(c, c.Arg(0), c.Arg(4), c.Arg(1), c.Arg(5), c.Arg(2), c.Arg(3), c.Arg(6))
		},
		FLOPs: productFLOPs,
		Cases: func() []Case {
			return []Case{{
				Name: "zero points, scale per column, bias",
				In: []*graph.Tensor{
					graph.FromSlice(graph.Uint8, []uint8{11, 7, 3, 10}, 2, 2), graph.FromSlice(graph.Int8, []int8{1, 4, 2, -5}, 2, 2),
					graph.Floats([]float32{0.5}), graph.Floats([]float32{2, 4}), graph.FromSlice(graph.Uint8, []uint8{12}), nil, graph.Floats([]float32{1, 0}),
				},
				Want: []*graph.Tensor{graph.Floats([]float32{-10, 42, -12, -52}, 2, 2)},
			}}
		},
	}
	DynamicQuantizeMatMul = &Op{
		Domain: Microsoft, Name: "DynamicQuantizeMatMul", Since: 1,
		Doc:    "Y = MatMulIntegerToFloat of A, quantised by DynamicQuantizeLinear, and B.",
		Inputs: []string{"A", "B", "b_scale", "b_zero_point?", "bias?"}, Outputs: []string{"Y"},
		Infer: func(in *Inference) error {
			s, err := in.matrixShape(in.Type(0).Shape, in.Type(1).Shape)
			in.SetTensor(0, graph.Float32, s)
			return err
		},
		Eval: func(c *Call) error {
			q := Call{Ctx: c.Ctx, Node: c.Node, In: c.In[:1], Out: make([]*graph.Tensor, 3)}
			if err := DynamicQuantizeLinear.Eval(&q); err != nil {
				return err
			}
			return scaledProduct(c, q.Out[0], q.Out[2], c.Arg(1), c.Arg(3), q.Out[1], c.Arg(2), c.Arg(4))
		},
		FLOPs: productFLOPs,
		Cases: func() []Case {
			return []Case{{
				Name: "range of 255 steps of 1",
				In: []*graph.Tensor{
					graph.Floats([]float32{-100, 155}, 1, 2), graph.FromSlice(graph.Int8, []int8{1, 2, 3, -4}, 2, 2), graph.Floats([]float32{0.5, 1}), nil, graph.Floats([]float32{0, 20}),
				},
				Want: []*graph.Tensor{graph.Floats([]float32{182.5, -800}, 1, 2)},
			}}
		},
	}
)

// scaledProduct stores (a - za)·(b - zb)·(as·bs) + bias as output 0.
func scaledProduct(c *Call, a, za, b, zb, as, bs, bias *graph.Tensor) error {
	sum, err := integerProduct(a, za, b, zb)
	if err != nil {
		return err
	}
	out, err := c.New(0, graph.Float32, sum.Shape...)
	if err != nil {
		return err
	}
	y := graph.View[float32](out)
	if len(sum.Shape) == 0 {
		return inputErrorf("a product without axes")
	}
	last := len(sum.Shape) - 1
	scale, err := spread[float32](bs, sum.Shape, last)
	if err != nil {
		return err
	}
	factor, err := spread[float32](as, sum.Shape, last)
	if err != nil {
		return err
	}
	for i, s := range graph.View[int32](sum) {
		y[i] = float32(s) * float32(factor[i%len(factor)]*scale[i%len(scale)])
	}
	if bias == nil {
		return nil
	}
	shift, err := spread[float32](bias, sum.Shape, last)
	if err != nil {
		return err
	}
	for i := range y {
		y[i] += shift[i%len(shift)]
	}
	return nil
}
