package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// LinearAttention is ONNX LinearAttention.
var LinearAttention = &Op{
	Name: "LinearAttention", Since: 27,
	Doc: "Token by token, per head, the state S [key width, value width] becomes exp(decay)·S (gated rules), then S + k⊗v, or with delta rules S + k⊗beta·(v - Sᵀk), and the output is scale·qᵀS. " +
		"Query heads share the heads of keys in groups; scale 0 means 1/sqrt(key width). Kept in float64 and rounded once.",
	Inputs: []string{"query", "key", "value", "past_state?", "decay?", "beta?"}, Outputs: []string{"output", "present_state"},
	Attrs: []string{"chunk_size", "kv_num_heads", "q_num_heads", "scale", "update_rule"},
	Infer: func(in *Inference) error {
		q, err := in.ranked(0, 3)
		if err != nil {
			return err
		}
		v, err := in.ranked(2, 3)
		if err != nil {
			return err
		}
		qh, kh := in.Node.Int("q_num_heads", 0), in.Node.Int("kv_num_heads", 0)
		if qh < 1 || kh < 1 || qh%kh != 0 {
			return inputErrorf("%d heads of queries for %d of keys", qh, kh)
		}
		d, state := in.Type(0).DType, in.Type(3).DType
		if !in.Has(3) {
			state = d
		}
		in.SetTensor(0, d, nil)
		in.SetTensor(1, state, nil)
		if q != nil && v != nil {
			width := v[2].Div(graph.Const(kh))
			in.SetTensor(0, d, graph.Shape{q[0], q[1], width.Mul(graph.Const(qh))})
			in.SetTensor(1, state, graph.Shape{q[0], graph.Const(kh), q[2].Div(graph.Const(qh)), width})
		}
		return nil
	},
	Eval: evalLinearAttention,
	Cases: func() []Case {
		attrs := func(rule string) []graph.Attr {
			return []graph.Attr{{Name: "q_num_heads", Value: int64(1)}, {Name: "kv_num_heads", Value: int64(1)}, {Name: "scale", Value: float32(1)}, {Name: "update_rule", Value: rule}}
		}
		row := func(v ...float32) *graph.Tensor { return graph.Floats(v, 1, int64(len(v)), 1) }
		state := func(v float32) *graph.Tensor { return graph.Floats([]float32{v}, 1, 1, 1, 1) }
		q, k, v := row(1, 2), row(1, 3), row(5, 7)
		return []Case{
			{Name: "linear", Attrs: attrs("linear"), In: []*graph.Tensor{q, k, v}, Want: []*graph.Tensor{row(5, 52), state(26)}},
			{
				Name: "gated delta", Attrs: attrs("gated_delta"), Tol: 1e-6,
				In:   []*graph.Tensor{q, k, v, state(2), row(float32(math.Log(0.5)), 0), row(1, 0.5)},
				Want: []*graph.Tensor{row(5, -14), state(-7)}, // 1 + (5 - 1); 5 + 3·0.5·(7 - 15)
			},
		}
	},
}

func evalLinearAttention(c *Call) error {
	q, k, v := c.Arg(0), c.Arg(1), c.Arg(2)
	qh, kh := c.Node.Int("q_num_heads", 0), c.Node.Int("kv_num_heads", 0)
	if !isReal(q.DType) {
		return undefinedFor(q.DType)
	}
	if qh < 1 || kh < 1 || qh%kh != 0 {
		return inputErrorf("%d heads of queries for %d of keys", qh, kh)
	}
	if len(q.Shape) != 3 || len(k.Shape) != 3 || len(v.Shape) != 3 || q.Shape[2]%qh != 0 || v.Shape[2]%kh != 0 ||
		!slices.Equal(k.Shape, []int64{q.Shape[0], q.Shape[1], q.Shape[2] / qh * kh}) || !slices.Equal(v.Shape[:2], q.Shape[:2]) {
		return inputErrorf("%d and %d heads of shapes %v, %v and %v", qh, kh, q.Shape, k.Shape, v.Shape)
	}
	rule := c.Node.Str("update_rule", "gated_delta")
	gated, delta := rule == "gated" || rule == "gated_delta", rule == "delta" || rule == "gated_delta"
	if !gated && !delta && rule != "linear" {
		return inputErrorf("update_rule is %q", rule)
	}
	if (c.Arg(4) != nil) != gated || (c.Arg(5) != nil) != delta {
		return inputErrorf("rule %s, decay %t, beta %t", rule, c.Arg(4) != nil, c.Arg(5) != nil)
	}
	batch, tokens := int(q.Shape[0]), int(q.Shape[1])
	heads, wide, width := int(kh), int(q.Shape[2]/qh), int(v.Shape[2]/kh)
	var in [5][]float64 // q, k, v, decay, beta
	for i, t := range []*graph.Tensor{q, k, v, c.Arg(4), c.Arg(5)} {
		if t == nil {
			continue
		}
		if i > 2 && (len(t.Shape) != 3 || !slices.Equal(t.Shape[:2], q.Shape[:2])) {
			return inputErrorf("decay or beta of shape %v for shape %v", t.Shape, q.Shape)
		}
		var err error
		if in[i], err = t.Float64s(); err != nil {
			return err
		}
	}
	perKey := gated && c.Arg(4).Shape[2] == int64(heads*wide) && wide > 1
	if gated && !perKey && c.Arg(4).Shape[2] != kh || delta && c.Arg(5).Shape[2] != kh && c.Arg(5).Shape[2] != 1 {
		return inputErrorf("decay or beta does not have one number a head or key")
	}
	state, err := c.sized(3, batch*heads*wide*width)
	if err != nil {
		return err
	}
	scale := float64(c.Node.Float("scale", 0))
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(wide))
	}
	y := make([]float64, batch*tokens*int(qh)*width)
	update := make([]float64, width)
	group := int(qh / kh)
	for row := range batch * tokens {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		for h := range heads {
			s := state[(row/tokens*heads+h)*wide*width:][:wide*width]
			key := in[1][(row*heads+h)*wide:][:wide]
			for i := range s {
				switch {
				case perKey:
					s[i] *= math.Exp(in[3][(row*heads+h)*wide+i/width])
				case gated:
					s[i] *= math.Exp(in[3][row*heads+h])
				}
			}
			copy(update, in[2][(row*heads+h)*width:][:width])
			if delta {
				n := int(c.Arg(5).Shape[2])
				rate := in[4][row*n+h%n]
				for m := range update {
					for i, x := range key {
						update[m] -= float64(s[i*width+m] * x)
					}
					update[m] *= rate
				}
			}
			for i := range s {
				s[i] += float64(key[i/width] * update[i%width])
			}
			for g := range group {
				at := row*int(qh) + h*group + g
				query, out := in[0][at*wide:][:wide], y[at*width:][:width]
				for i := range s {
					out[i%width] += float64(query[i/width] * s[i])
				}
				for m := range out {
					out[m] *= scale
				}
			}
		}
	}
	out, err := c.New(0, q.DType, q.Shape[0], q.Shape[1], qh*int64(width))
	if err != nil {
		return err
	}
	if err := storeFloats(out, y); err != nil {
		return err
	}
	d := q.DType
	if c.Arg(3) != nil {
		d = c.Arg(3).DType
	}
	present, err := c.New(1, d, q.Shape[0], kh, int64(wide), int64(width))
	if err != nil {
		return err
	}
	return storeFloats(present, state)
}
