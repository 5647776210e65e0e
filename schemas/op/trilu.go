package op

import "mnnconv/graph"

// Trilu is ONNX Trilu.
var Trilu = &Op{
	Name: "Trilu", Since: 14,
	Doc:    "The upper (default) or lower triangle of each matrix, from diagonal k (default 0) on; the rest is zero.",
	Inputs: []string{"input", "k?"}, Outputs: []string{"output"}, Attrs: []string{"upper"},
	Infer: func(in *Inference) error {
		if s := in.Type(0).Shape; s.Ranked() && len(s) < 2 {
			return in.Errorf("input has shape %s, want at least rank 2", s)
		}
		return sameShape(in)
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		rank := len(x.Shape)
		if rank < 2 {
			return inputErrorf("input has shape %v, want at least rank 2", x.Shape)
		}
		k := int64(0)
		if c.Arg(1) != nil {
			v, err := c.Arg(1).Int64s()
			if err != nil {
				return err
			}
			if len(v) != 1 {
				return inputErrorf("k has %d elements, want one", len(v))
			}
			k = v[0]
		}
		m, err := c.moveTo(0, x, x.Shape...)
		if err != nil || m.dst.Len() == 0 {
			return err
		}
		rows, columns := int(x.Shape[rank-2]), int(x.Shape[rank-1])
		diagonal := int(min(max(k, int64(-rows)), int64(columns)))
		upper := c.Node.Int("upper", 1) != 0
		for i := range count(x.Shape[:rank-1]) {
			from, to := 0, min(max(i%rows+diagonal+1, 0), columns)
			if upper {
				from, to = min(max(i%rows+diagonal, 0), columns), columns
			}
			m.copy(i*columns+from, i*columns+from, to-from)
		}
		return nil
	},
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2, 3, 4, 5, 6, 7, 8, 9}, 3, 3)
		lower := []graph.Attr{{Name: "upper", Value: int64(0)}}
		return []Case{
			{Name: "upper", In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 0, 5, 6, 0, 0, 9}, 3, 3)}},
			{Name: "above the diagonal", In: []*graph.Tensor{x, graph.Scalar(1)}, Want: []*graph.Tensor{graph.Ints([]int64{0, 2, 3, 0, 0, 6, 0, 0, 0}, 3, 3)}},
			{Name: "lower", In: []*graph.Tensor{x, graph.Scalar(-1)}, Attrs: lower, Want: []*graph.Tensor{graph.Ints([]int64{0, 0, 0, 4, 0, 0, 7, 8, 0}, 3, 3)}},
			{
				Name: "batch, far diagonal", Attrs: lower,
				In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 2, 1, 2), graph.Scalar(1 << 62)},
				Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 2, 1, 2)},
			},
			{Name: "no elements", In: []*graph.Tensor{graph.Floats(nil, 0, 2)}, Want: []*graph.Tensor{graph.Floats(nil, 0, 2)}},
		}
	},
}
