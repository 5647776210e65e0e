package op

import "mnnconv/graph"

// GRU is ONNX GRU.
var GRU = &Op{
	Name: "GRU", Since: 1,
	Doc: "z = f(Wz·x + Rz·H + b), r = f(Wr·x + Rr·H + b), h = g(Wh·x + Wbh + Rh·(r∘H) + Rbh), or with linear_before_reset g(Wh·x + Wbh + r∘(Rh·H + Rbh)), and " +
		"H = (1 - z)∘h + z∘H, step by step as in RNN; f is sigmoid and g tanh by default. Kept in float64 and rounded once.",
	Inputs: []string{"X", "W", "R", "B?", "sequence_lens?", "initial_h?"}, Outputs: []string{"Y?", "Y_h?"},
	Attrs: append([]string{"linear_before_reset"}, recurrentAttrs...),
	Infer: func(in *Inference) error { return inferRecurrent(in, 3) },
	Eval: func(c *Call) error {
		k, err := newRecurrent(c, 3, "Sigmoid", "Tanh")
		if err != nil {
			return err
		}
		h, err := k.initial(c, 5)
		if err != nil {
			return err
		}
		n := k.hidden
		linear := c.Node.Int("linear_before_reset", 0) != 0
		reset, inner := make([]float64, n), make([]float64, n)
		return k.run(c, h, nil, func(k *recurrent, d int, wx, rh, h, _ []float64) {
			for i := range h {
				reset[i] = k.apply(d, 0, wx[n+i]+rh[n+i])
			}
			if linear {
				for i := range h {
					inner[i] = reset[i] * rh[2*n+i]
				}
			} else {
				for i := range h {
					reset[i] *= h[i]
				}
				affine(inner, k.r[(d*3+2)*n*n:][:n*n], reset, k.b[(2*d+1)*3*n+2*n:][:n])
			}
			for i := range h {
				z := k.apply(d, 0, wx[i]+rh[i])
				h[i] = float64((1-z)*k.apply(d, 1, wx[2*n+i]+inner[i])) + float64(z*h[i])
			}
		})
	},
	Cases: func() []Case {
		relu := graph.Attr{Name: "activations", Value: []string{"Relu", "Relu"}}
		in := []*graph.Tensor{
			graph.Floats([]float32{1}, 1, 1, 1), graph.Floats([]float32{0.5, 2, 3}, 1, 3, 1), graph.Floats([]float32{0, 0, 1}, 1, 3, 1),
			graph.Floats([]float32{0, 0, 0, 0, 0, 5}, 1, 6), nil, graph.Floats([]float32{4}, 1, 1, 1),
		}
		return []Case{{ // z 0.5, r 2, h 3 + 2·4 + 5
			Name: "reset before the product", Attrs: []graph.Attr{relu}, In: in,
			Want: []*graph.Tensor{graph.Floats([]float32{10}, 1, 1, 1, 1), graph.Floats([]float32{10}, 1, 1, 1)},
		}, { // h 3 + 2·(4 + 5)
			Name: "reset behind it", Attrs: []graph.Attr{relu, {Name: "linear_before_reset", Value: int64(1)}}, In: in,
			Want: []*graph.Tensor{graph.Floats([]float32{12.5}, 1, 1, 1, 1), graph.Floats([]float32{12.5}, 1, 1, 1)},
		}}
	},
}
