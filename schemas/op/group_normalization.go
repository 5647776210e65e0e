package op

import "mnnconv/graph"

// GroupNormalization is ONNX GroupNormalization.
var GroupNormalization = &Op{
	Name: "GroupNormalization", Since: 18,
	Doc: "Y = scale·(X - mean)/sqrt(variance + epsilon) + bias with the mean and population variance of every group of channels of every instance of X [N, C, ...]. " +
		"From version 21 on, scale and bias have one number per channel and the quotient, computed in float32 (of float64: in float64), is rounded to the type of X before it is scaled and shifted " +
		"in that type; in version 18 they have one number per group, and only Y is rounded.",
	Inputs: []string{"X", "scale", "bias"}, Outputs: []string{"Y"},
	Attrs: []string{"epsilon", "num_groups", "stash_type"},
	Infer: sameShape,
	Eval: func(c *Call) error {
		if err := c.wantChannels(); err != nil {
			return err
		}
		if _, err := stashType(c.Node); err != nil {
			return err
		}
		channels, groups := c.Arg(0).Shape[1], c.Node.Int("num_groups", 0)
		if groups < 1 || channels%groups != 0 {
			return inputErrorf("%d channels in %d groups", channels, groups)
		}
		perParam, rounded := int64(1), true
		if c.Node.Version < 21 {
			perParam, rounded = max(channels/groups, 1), false
		}
		switch d := c.Arg(0).DType; {
		case d == graph.Float64:
			return groupNorm[float64](c, groups, perParam, rounded)
		case isReal(d):
			return groupNorm[float32](c, groups, perParam, rounded)
		default:
			return undefinedFor(d)
		}
	},
	Cases: func() []Case {
		attrs := func(groups int64, eps float32) []graph.Attr {
			return []graph.Attr{{Name: "num_groups", Value: groups}, {Name: "epsilon", Value: eps}}
		}
		return []Case{{
			Name: "constant groups leave the bias", Attrs: attrs(3, 1),
			In: []*graph.Tensor{
				graph.Floats([]float32{5, 5, 3, 3, 0, 0}, 1, 6, 1), graph.Floats([]float32{1, 2, 3, 4, 5, 6}), graph.Floats([]float32{1, 2, 3, 4, 5, 6}),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 1, 6, 1)},
		}, {
			Name: "one scale and bias per group", Version: 18, Attrs: attrs(2, 0),
			In:   []*graph.Tensor{graph.Floats([]float32{1, 3, 0, 8}, 1, 4), graph.Floats([]float32{1, 2}), graph.Floats([]float32{0, 1})},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 1, -1, 3}, 1, 4)},
		}, {
			Name: "one scale and bias per channel", Attrs: attrs(2, 0),
			In:   []*graph.Tensor{graph.Floats([]float32{1, 3, 0, 8}, 1, 4), graph.Floats([]float32{1, 2, 3, 4}), graph.Floats([]float32{0, 0, 0, 1})},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 2, -3, 5}, 1, 4)},
		}}
	},
}

// groupNorm standardises groups of channels of input 0. Scale and bias, inputs
// 1 and 2, have one number per perParam channels.
func groupNorm[T floating](c *Call, groups, perParam int64, rounded bool) error {
	x := c.Arg(0)
	channels := x.Shape[1]
	v, err := elementsAs[T](x)
	if err != nil {
		return err
	}
	scale, err := perChannel[T](c, 1, channels/perParam)
	if err != nil {
		return err
	}
	shift, err := perChannel[T](c, 2, channels/perParam)
	if err != nil {
		return err
	}
	out, err := c.New(0, x.DType, x.Shape...)
	if err != nil || len(v) == 0 {
		return err
	}
	y := accumulator[T](out)
	size := len(v) / int(x.Shape[0]*groups)
	plane := len(v) / int(x.Shape[0]*channels)
	eps := T(c.Node.Float("epsilon", 1e-5))
	normRows{size: size}.each(len(v), func(_, from, to int) {
		row := y[from:to]
		standardize(row, v[from:to], eps)
		if rounded {
			roundTo(x.DType, row)
		}
		for i := range row {
			row[i] *= scale[(from+i)/plane%int(channels)/int(perParam)]
		}
		if rounded {
			roundTo(x.DType, row)
		}
		for i := range row {
			row[i] += shift[(from+i)/plane%int(channels)/int(perParam)]
		}
	})
	return finish(out, y)
}
