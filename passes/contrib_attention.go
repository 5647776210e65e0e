package passes

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// contribAttention rewrites contrib attention operators to ai.onnx Attention.
func contribAttention(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		switch {
		case n.Domain == op.Microsoft && n.Op == "GroupQueryAttention":
			c.groupQuery(r, n)
		case n.Domain == op.Microsoft && n.Op == "MultiHeadAttention":
			c.multiHead(r, n)
		case n.Domain == op.LlmExporter && n.Op == "FusedAttention":
			c.fusedAttention(r, n)
		}
	}
	return r.apply()
}

// groupQuery: onnxruntime's operator is causal unless it says otherwise; its seqlens_k must
// say that no row is padding, which probes show.
func (c *context) groupQuery(r *rewriter, n *graph.Node) {
	plain := n.Int("causal", 1) == 1 && n.Int("do_rotary", 0) == 0 && n.Int("local_window_size", -1) == -1 && n.Float("softcap", 0) == 0 &&
		n.Int("smooth_softmax", 0) == 0 && n.Int("sliding_window_cache", 0) == 0 && n.In(1) != nil && n.In(2) != nil && n.Out(3) == nil
	for i := 7; i < len(n.Inputs); i++ {
		plain = plain && n.Inputs[i] == nil
	}
	if !plain {
		c.note("%s: this form of GroupQueryAttention is not raised", n.ID())
		return
	}
	if !c.fullLength(n) {
		c.note("%s: seqlens_k could not be shown to count every row", n.ID())
		return
	}
	heads, kv := n.Int("num_heads", 0), n.Int("kv_num_heads", 0)
	a := attrs{"q_num_heads": heads, "kv_num_heads": kv, "is_causal": 1}
	if s := n.Float("scale", 0); s != 0 {
		a["scale"] = s
	}
	m := r.add(n, "Attention", a, 3, n.Inputs[0], n.Inputs[1], n.Inputs[2], nil, n.In(3), n.In(4))
	for i := range 3 {
		if v := n.Out(i); v != nil {
			r.take(m, i, v)
		}
	}
	c.raised("Attention")
}

// fullLength reports whether seqlens_k + 1 is past + new rows under every probe.
func (c *context) fullLength(n *graph.Node) bool {
	if n.In(3) == nil || n.In(5) == nil {
		return n.In(5) == nil
	}
	lens, ok := c.eval(n.Inputs[5])
	if !ok {
		return false
	}
	total := n.Inputs[3].Type.Shape[2].Add(n.Inputs[1].Type.Shape[1])
	for i, t := range lens {
		want, err := total.Eval(c.know.Probes[i].Env)
		have, err2 := t.Int64s()
		if err != nil || err2 != nil {
			return false
		}
		for _, l := range have {
			if l+1 != want {
				return false
			}
		}
	}
	return true
}

func (c *context) multiHead(r *rewriter, n *graph.Node) {
	plain := n.In(1) != nil && n.In(2) != nil && len(n.Inputs[0].Type.Shape) == 3 && len(n.Inputs[1].Type.Shape) == 3
	for i := 3; i < len(n.Inputs); i++ {
		plain = plain && n.Inputs[i] == nil
	}
	if !plain || n.Out(1) != nil || n.Out(2) != nil || n.Out(3) != nil {
		c.note("%s: this form of MultiHeadAttention is not raised", n.ID())
		return
	}
	a := attrs{"q_num_heads": n.Int("num_heads", 0), "kv_num_heads": n.Int("num_heads", 0), "is_causal": n.Int("unidirectional", 0)}
	if s := n.Float("scale", 0); s != 0 {
		a["scale"] = s
	}
	m := r.add(n, "Attention", a, 1, n.Inputs...)
	r.take(m, 0, n.Outputs[0])
	c.raised("Attention")
}

// fusedAttention: MNN keeps the cache inside the operator. Here it becomes
// explicit: past inputs [batch, kv heads, past, width] and present outputs, as
// other exporters have them. The mask must be causal under every probe.
func (c *context) fusedAttention(r *rewriter, n *graph.Node) {
	q, k, v := n.Inputs[0], n.Inputs[1], n.Inputs[2]
	ks := k.Type.Shape
	width, ok := n.Int("head_dim", 0), len(ks) == 4 && len(q.Type.Shape) == 4
	if ok && width == 0 {
		width, ok = ks[3].Int()
	}
	if !ok || n.Int("kv_cache", 1) != 1 || n.Int("kv_shared_layer_index", -1) != -1 {
		c.note("%s: this form of FusedAttention is not raised", n.ID())
		return
	}
	past := graph.Sym("past")
	mask, ok := c.eval(n.In(3))
	if !ok || !c.causal(mask, ks[1], past.Add(ks[1]), past) {
		c.note("%s: its mask could not be shown to be causal", n.ID())
		return
	}
	layer := n.Int("layer_index", 0)
	kvs := make([]*graph.Value, 2)
	for i, kind := range []string{"key", "value"} {
		t := graph.Type{DType: k.Type.DType, Shape: graph.Shape{ks[0], ks[2], past, ks[3]}}
		kvs[i] = c.g.NewInput(c.name(fmt.Sprintf("past_key_values.%d.%s", layer, kind)), t)
	}
	heads := attrs{"perm": []int64{0, 2, 1, 3}}
	m := r.add(n, "Attention", attrs{"is_causal": 1, "scale": invSqrt(width)}, 3,
		r.op1(n, "Transpose", heads, q), r.op1(n, "Transpose", heads, k), r.op1(n, "Transpose", heads, v), nil, kvs[0], kvs[1])
	out := r.op1(n, "Transpose", heads, m.Outputs[0])
	out = r.op1(n, "Reshape", nil, out, r.ints(0, 0, -1))
	r.take(out.Def, 0, n.Outputs[0])
	c.g.Outputs = append(c.g.Outputs, m.Outputs[1], m.Outputs[2])
	c.raised("Attention")
}
