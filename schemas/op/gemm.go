package op

import "mnnconv/graph"

// Gemm is ONNX Gemm: a matrix product with a factor and an addend.
var Gemm = &Op{
	Name: "Gemm", Since: 1,
	Doc:    "Y = alpha·A'·B' + beta·C with matrices A and B, transposed where transA or transB is 1, and C broadcast to Y.",
	Inputs: []string{"A", "B", "C?"}, Outputs: []string{"Y"},
	Attrs: []string{"alpha", "beta", "transA", "transB", "broadcast"},
	Infer: func(in *Inference) error {
		dtype, err := in.commonDType(0, 1, 2)
		if err != nil {
			return err
		}
		in.SetTensor(0, dtype, nil)
		a, err := in.ranked(0, 2)
		if err != nil {
			return err
		}
		b, err := in.ranked(1, 2)
		if err != nil || a == nil || b == nil {
			return err
		}
		f := fusedForm(in.Node)
		s, err := in.matrixShape(swapLast(a, f.transA), swapLast(b, f.transB))
		if err != nil {
			return err
		}
		if c := in.Type(2).Shape; in.Has(2) && len(c) > 2 {
			return in.Errorf("C has shape %s, which does not broadcast to %s", c, s)
		}
		in.SetTensor(0, dtype, s)
		return nil
	},
	Eval: func(c *Call) error {
		for i := range 2 {
			if err := c.wantRank(i, 2); err != nil {
				return err
			}
		}
		if t := c.Arg(2); t != nil && t.DType != c.Arg(0).DType {
			return inputErrorf("A is %s, C is %s", c.Arg(0).DType, t.DType)
		}
		f := fusedForm(c.Node)
		f.addend, f.beta = c.Arg(2), c.Node.Float("beta", 1)
		return evalMatMul(c, f)
	},
	FLOPs: productFLOPs,
	Cases: func() []Case {
		a := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
		b := graph.Floats([]float32{1, 0, 0, 1, 1, 1}, 3, 2)
		return []Case{{
			Name: "bias row",
			In:   []*graph.Tensor{a, b, graph.Floats([]float32{10, 20})},
			Want: []*graph.Tensor{graph.Floats([]float32{14, 25, 20, 31}, 2, 2)},
		}, {
			Name: "no C",
			In:   []*graph.Tensor{a, b},
			Want: []*graph.Tensor{graph.Floats([]float32{4, 5, 10, 11}, 2, 2)},
		}, {
			Name:  "transposed with factors",
			Attrs: []graph.Attr{{Name: "transA", Value: int64(1)}, {Name: "transB", Value: int64(1)}, {Name: "alpha", Value: float32(2)}, {Name: "beta", Value: float32(0.5)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 2, 2), graph.Floats([]float32{1, 1, 2, 0}, 2, 2), graph.Floats([]float32{2, 4}, 2, 1)},
			Want:  []*graph.Tensor{graph.Floats([]float32{9, 5, 14, 10}, 2, 2)},
		}, {
			Name: "bfloat16 with one-element C",
			In: []*graph.Tensor{
				graph.FromSlice(graph.BFloat16, []uint16{0x3f80, 0x4000}, 1, 2),
				graph.FromSlice(graph.BFloat16, []uint16{0x4000, 0x4040}, 2, 1),
				graph.FromSlice(graph.BFloat16, []uint16{0x3f80}, 1),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.BFloat16, []uint16{0x4110}, 1, 1)},
		}}
	},
}
