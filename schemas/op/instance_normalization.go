package op

import "mnnconv/graph"

// InstanceNormalization is ONNX InstanceNormalization.
var InstanceNormalization = &Op{
	Name: "InstanceNormalization", Since: 1,
	Doc: "output = scale·(input - mean)/sqrt(variance + epsilon) + B with the mean and population variance of every channel of every instance of input [N, C, ...]. " +
		"Computed in float32 (of float64: in float64) and rounded once.",
	Inputs: []string{"input", "scale", "B"}, Outputs: []string{"output"},
	Attrs: []string{"consumed_inputs", "epsilon"},
	Infer: sameShape,
	Eval: func(c *Call) error {
		if err := c.wantChannels(); err != nil {
			return err
		}
		switch d := c.Arg(0).DType; {
		case d == graph.Float64:
			return groupNorm[float64](c, c.Arg(0).Shape[1], 1, false)
		case isReal(d):
			return groupNorm[float32](c, c.Arg(0).Shape[1], 1, false)
		default:
			return undefinedFor(d)
		}
	},
	Cases: func() []Case {
		return []Case{{
			Name:  "two channels",
			Attrs: []graph.Attr{{Name: "epsilon", Value: float32(0)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 3, 0, 8}, 1, 2, 2), graph.Floats([]float32{1, 2}), graph.Floats([]float32{0, 1})},
			Want:  []*graph.Tensor{graph.Floats([]float32{-1, 1, -1, 3}, 1, 2, 2)},
		}, {
			Name: "no instances",
			In:   []*graph.Tensor{graph.Floats(nil, 0, 1, 2), graph.Floats([]float32{1}), graph.Floats([]float32{0})},
			Want: []*graph.Tensor{graph.Floats(nil, 0, 1, 2)},
		}}
	},
}

// wantChannels checks that input 0 has a batch and a channel axis.
func (c *Call) wantChannels() error {
	if s := c.Arg(0).Shape; len(s) < 2 {
		return inputErrorf("input of shape %v without channels", s)
	}
	return nil
}
