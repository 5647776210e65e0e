package op

import "mnnconv/graph"

// LSTM is ONNX LSTM.
var LSTM = &Op{
	Name: "LSTM", Since: 1,
	Doc: "i = f(Wi·x + Ri·H + b + Pi∘C), f = f(… + Pf∘C) or with input_forget 1 - i, c = g(…), C = f∘C + i∘c, o = f(… + Po∘C), H = o∘h(C), step by step as in RNN, " +
		"the gates in the order i, o, f, c; f is sigmoid, g and h are tanh by default. Kept in float64 and rounded once.",
	Inputs:  []string{"X", "W", "R", "B?", "sequence_lens?", "initial_h?", "initial_c?", "P?"},
	Outputs: []string{"Y?", "Y_h?", "Y_c?"},
	Attrs:   append([]string{"input_forget"}, recurrentAttrs...),
	Infer:   func(in *Inference) error { return inferRecurrent(in, 4) },
	Eval: func(c *Call) error {
		k, err := newRecurrent(c, 4, "Sigmoid", "Tanh", "Tanh")
		if err != nil {
			return err
		}
		h, err := k.initial(c, 5)
		if err != nil {
			return err
		}
		state, err := k.initial(c, 6)
		if err != nil {
			return err
		}
		peep, err := c.sized(7, k.directions*3*k.hidden)
		if err != nil {
			return err
		}
		coupled := c.Node.Int("input_forget", 0) != 0
		n := k.hidden
		return k.run(c, h, state, func(k *recurrent, d int, wx, rh, h, state []float64) {
			p := peep[d*3*n:]
			for j := range h {
				in := k.apply(d, 0, wx[j]+rh[j]+float64(p[j]*state[j]))
				forget := 1 - in
				if !coupled {
					forget = k.apply(d, 0, wx[2*n+j]+rh[2*n+j]+float64(p[2*n+j]*state[j]))
				}
				state[j] = float64(forget*state[j]) + float64(in*k.apply(d, 1, wx[3*n+j]+rh[3*n+j]))
				out := k.apply(d, 0, wx[n+j]+rh[n+j]+float64(p[n+j]*state[j]))
				h[j] = out * k.act[d*k.perDirection+2](state[j])
			}
		})
	},
	Cases: func() []Case {
		relu := graph.Attr{Name: "activations", Value: []string{"Relu", "Relu", "Relu"}}
		return []Case{{ // i 1+3, f 3+2·3, c 4, C 27+16, o 2+43, H 45·43
			Name: "peepholes", Attrs: []graph.Attr{relu},
			In: []*graph.Tensor{
				graph.Floats([]float32{1}, 1, 1, 1), graph.Floats([]float32{1, 2, 3, 4}, 1, 4, 1), graph.Floats([]float32{0, 0, 0, 0}, 1, 4, 1), nil, nil,
				nil, graph.Floats([]float32{3}, 1, 1, 1), graph.Floats([]float32{1, 1, 2}, 1, 3),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{1935}, 1, 1, 1, 1), graph.Floats([]float32{1935}, 1, 1, 1), graph.Floats([]float32{43}, 1, 1, 1)},
		}}
	},
}
