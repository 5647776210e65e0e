package op

import "mnnconv/graph"

// SkipSimplifiedLayerNormalization is onnxruntime's RMS normalisation of a sum.
var SkipSimplifiedLayerNormalization = &Op{
	Domain: Microsoft, Name: "SkipSimplifiedLayerNormalization", Since: 1,
	Doc: "output = gamma·S/sqrt(mean(S²) + epsilon) over the last axis of S = input + skip + bias, computed in float32 and rounded once; " +
		"mean is 0, inv_std_var holds 1/sqrt(mean(S²) + epsilon) per row, input_skip_bias_sum is S.",
	Inputs:  []string{"input", "skip", "gamma", "bias?"},
	Outputs: []string{"output", "mean?", "inv_std_var?", "input_skip_bias_sum?"},
	Attrs:   []string{"epsilon"},
	Infer:   inferSkipNorm,
	Eval: func(c *Call) error {
		return evalSkipNorm(c, nil, c.Arg(3), func(y, x []float32, eps float32) (mean, inv float32) {
			return 0, divideByRMS(y, x, eps)
		})
	},
	Cases: func() []Case {
		x, skip := graph.Floats([]float32{1, 2, 0, 1}, 2, 2), graph.Floats([]float32{0, 5, 2, 1}, 2, 2)
		gamma, zeroEps := graph.Floats([]float32{5, 10}), []graph.Attr{{Name: "epsilon", Value: float32(0)}}
		return []Case{{
			Name: "output and sum", Attrs: zeroEps,
			In:   []*graph.Tensor{x, skip, gamma},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 14, 5, 10}, 2, 2), nil, nil, graph.Floats([]float32{1, 7, 2, 2}, 2, 2)},
		}, {
			Name: "bias and all outputs", Attrs: zeroEps,
			In: []*graph.Tensor{x, skip, gamma, graph.Floats([]float32{1, -5})},
			Want: []*graph.Tensor{
				graph.Floats([]float32{5, 10, 5, -10}, 2, 2), graph.Floats([]float32{0, 0}, 2, 1), graph.Floats([]float32{0.5, 0.33333334}, 2, 1), graph.Floats([]float32{2, 2, 3, -3}, 2, 2),
			},
		}, {
			Name: "no rows",
			In:   []*graph.Tensor{graph.Floats(nil, 1, 0, 2), graph.Floats(nil, 1, 0, 2), gamma},
			Want: []*graph.Tensor{graph.Floats(nil, 1, 0, 2)},
		}}
	},
}
