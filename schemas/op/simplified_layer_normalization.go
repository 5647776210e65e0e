package op

import "mnnconv/graph"

// SimplifiedLayerNormalization is onnxruntime's RMS normalisation, which
// exporters write in the default domain.
var SimplifiedLayerNormalization = simplifiedLayerNorm("")

// MicrosoftSimplifiedLayerNormalization is the same in onnxruntime's own domain.
var MicrosoftSimplifiedLayerNormalization = simplifiedLayerNorm(Microsoft)

func simplifiedLayerNorm(domain string) *Op {
	return &Op{
		Domain: domain, Name: "SimplifiedLayerNormalization", Since: 1,
		Doc: "Y = scale·X/sqrt(mean(X²) + epsilon) over the axes from axis on, computed in float32 (of float64: in float64) and rounded once to the type of scale, " +
			"as onnxruntime does; inv_std_var is 1/sqrt(mean(X²) + epsilon).",
		Inputs: []string{"X", "scale"}, Outputs: []string{"Y", "inv_std_var?"},
		Attrs: []string{"axis", "epsilon", "stash_type"},
		Infer: func(in *Inference) error {
			stat, err := stashType(in.Node)
			if err != nil {
				return err
			}
			return inferNorm(in, in.Type(1).DType, stat, 1)
		},
		Eval: func(c *Call) error { return evalRMSNorm(c, false) },
		Cases: func() []Case {
			half := func(v ...float32) *graph.Tensor { return narrow(graph.Float16, v, 1, int64(len(v))) }
			attrs := []graph.Attr{{Name: "axis", Value: int64(-1)}, {Name: "epsilon", Value: float32(0)}, {Name: "stash_type", Value: int64(1)}}
			return []Case{{
				Name: "with statistics", Attrs: attrs,
				In:   []*graph.Tensor{graph.Floats([]float32{1, -1, 2, 2}, 2, 2), graph.Floats([]float32{3, 4})},
				Want: []*graph.Tensor{graph.Floats([]float32{3, -4, 3, 4}, 2, 2), graph.Floats([]float32{1, 0.5}, 2, 1)},
			}, {
				Name: "float16 rounds once", Attrs: attrs,
				In:   []*graph.Tensor{half(1, 2), half(3, 1)},
				Want: []*graph.Tensor{half(1.8974609, 1.2646484)}, // RMSNormalization gives 1.8964844
			}, {
				Name: "float16 in, float32 out", Attrs: attrs,
				In:   []*graph.Tensor{half(1, 7), graph.Floats([]float32{5, 10})},
				Want: []*graph.Tensor{graph.Floats([]float32{1, 14}, 1, 2)},
			}}
		},
	}
}
