package op

import "mnnconv/graph"

// RNN is ONNX RNN.
var RNN = &Op{
	Name: "RNN", Since: 1,
	Doc: "H = f(W·x + Wb + R·H + Rb) step by step over X [steps, batch, input] (layout 1: [batch, steps, input]), forward, in reverse, or both; f is tanh by default. " +
		"Y holds every H, Y_h the last. Kept in float64 and rounded once.",
	Inputs: []string{"X", "W", "R", "B?", "sequence_lens?", "initial_h?"}, Outputs: []string{"Y?", "Y_h?"},
	Attrs: recurrentAttrs,
	Infer: func(in *Inference) error { return inferRecurrent(in, 1) },
	Eval: func(c *Call) error {
		k, err := newRecurrent(c, 1, "Tanh")
		if err != nil {
			return err
		}
		h, err := k.initial(c, 5)
		if err != nil {
			return err
		}
		return k.run(c, h, nil, func(k *recurrent, d int, wx, rh, h, _ []float64) {
			for i := range h {
				h[i] = k.apply(d, 0, wx[i]+rh[i])
			}
		})
	},
	Cases: func() []Case {
		relu := []graph.Attr{{Name: "activations", Value: []string{"Relu"}}}
		x, w, r := graph.Floats([]float32{1, 2, 3}, 3, 1, 1), graph.Floats([]float32{1}, 1, 1, 1), graph.Floats([]float32{2}, 1, 1, 1)
		return []Case{{
			Name: "forward", Attrs: relu, In: []*graph.Tensor{x, w, r},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 4, 11}, 3, 1, 1, 1), graph.Floats([]float32{11}, 1, 1, 1)},
		}, {
			Name: "in reverse, two steps, bias and start", Attrs: append([]graph.Attr{{Name: "direction", Value: "reverse"}}, relu...),
			In:   []*graph.Tensor{x, w, r, graph.Floats([]float32{1, 2}, 1, 2), graph.FromSlice(graph.Int32, []int32{2}), graph.Floats([]float32{10}, 1, 1, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{54, 25, 0}, 3, 1, 1, 1), graph.Floats([]float32{54}, 1, 1, 1)},
		}}
	},
}
