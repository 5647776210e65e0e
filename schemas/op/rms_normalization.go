package op

import "mnnconv/graph"

// RMSNormalization is ONNX RMSNormalization.
var RMSNormalization = &Op{
	Name: "RMSNormalization", Since: 23,
	Doc: "Y = round(X / sqrt(mean(X²) + epsilon))·scale over the axes from axis on: the quotient is computed in float32 (of float64: in float64), " +
		"rounded to the type of X, and scaled in the type of scale, as the operator's function body says.",
	Inputs: []string{"X", "scale"}, Outputs: []string{"Y"},
	Attrs: []string{"axis", "epsilon", "stash_type"},
	Infer: func(in *Inference) error {
		if _, err := stashType(in.Node); err != nil {
			return err
		}
		return inferNorm(in, in.Type(1).DType, graph.Undefined)
	},
	Eval: func(c *Call) error { return evalRMSNorm(c, true) },
	Cases: func() []Case {
		half := func(v ...float32) *graph.Tensor { return narrow(graph.Float16, v, 1, int64(len(v))) }
		return []Case{{
			Name:  "rows",
			Attrs: []graph.Attr{{Name: "epsilon", Value: float32(0)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 7, 3, 3}, 2, 2), graph.Floats([]float32{5, 10})},
			Want:  []*graph.Tensor{graph.Floats([]float32{1, 14, 5, 10}, 2, 2)},
		}, {
			Name:  "all axes, broadcast scale",
			Attrs: []graph.Attr{{Name: "epsilon", Value: float32(0)}, {Name: "axis", Value: int64(0)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, -1, 1, -1}, 2, 2), graph.Floats([]float32{1, 2}, 2, 1)},
			Want:  []*graph.Tensor{graph.Floats([]float32{1, -1, 2, -2}, 2, 2)},
		}, {
			Name:  "epsilon keeps zeros finite",
			Attrs: []graph.Attr{{Name: "epsilon", Value: float32(1e-6)}},
			In:    []*graph.Tensor{graph.Floats([]float32{0, 0}, 1, 2), graph.Floats([]float32{1, 1})},
			Want:  []*graph.Tensor{graph.Floats([]float32{0, 0}, 1, 2)},
		}, {
			// 1/sqrt(2.5) = 0.6324555 is 0.63232422 in float16; three times that is 1.8964844
			// in float16, where 3·0.6324555 would round to 1.8974609.
			Name:  "float16 rounds before the scale",
			Attrs: []graph.Attr{{Name: "epsilon", Value: float32(0)}},
			In:    []*graph.Tensor{half(1, 2), half(3, 1)},
			Want:  []*graph.Tensor{half(1.8964844, 1.2646484)},
		}}
	},
}

// evalRMSNorm is RMSNormalization, without the rounding before the scale if
// rounded is not set. Output 1, if there is one, is 1/rms.
func evalRMSNorm(c *Call, rounded bool) error {
	switch c.Arg(0).DType {
	case graph.Float32, graph.Float16, graph.BFloat16:
		return rmsNorm[float32](c, rounded)
	case graph.Float64:
		return rmsNorm[float64](c, rounded)
	}
	return undefinedFor(c.Arg(0).DType)
}

func rmsNorm[T floating](c *Call, rounded bool) error {
	x := c.Arg(0)
	stat, err := stashType(c.Node)
	if err != nil {
		return err
	}
	rows, err := rowsFrom(c.Node, x.Shape)
	if err != nil {
		return err
	}
	v, err := elementsAs[T](x)
	if err != nil {
		return err
	}
	scale, err := spread[T](c.Arg(1), x.Shape, rows.axis)
	if err != nil {
		return err
	}
	out, err := c.New(0, c.Arg(1).DType, x.Shape...)
	if err != nil {
		return err
	}
	inv, err := c.New(1, stat, rows.stat...)
	if err != nil {
		return err
	}
	y, invs := accumulator[T](out), accumulator[T](inv)
	eps := T(c.Node.Float("epsilon", 1e-5))
	rows.each(len(v), func(r, from, to int) {
		row := y[from:to]
		invs[r] = divideByRMS(row, v[from:to], eps)
		if rounded {
			roundTo(x.DType, row)
		}
		for i := range row {
			row[i] *= scale[(from+i)%len(scale)]
		}
	})
	if err := finish(inv, invs); err != nil {
		return err
	}
	return finish(out, y)
}
