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
		plain = plain && (n.Inputs[i] == nil || i == 10)
	}
	if !plain {
		c.note("%s: this form of GroupQueryAttention is not raised", n.ID())
		return
	}
	if !c.fullLength(n) {
		c.note("%s: seqlens_k could not be shown to count every row", n.ID())
		return
	}
	if bias := n.In(10); bias != nil && !c.noMore(n, bias) {
		c.note("%s: its attention_bias could not be shown to hide what comes later alone", n.ID())
		return
	}
	heads, kv := n.Int("num_heads", 0), n.Int("kv_num_heads", 0)
	a := attrs{"q_num_heads": heads, "kv_num_heads": kv, "is_causal": 1}
	if s := n.Float("scale", 0); s != 0 {
		a["scale"] = s
	}
	if n.In(3) == nil {
		c.firstPrompt(r, n, a, heads, kv)
		return
	}
	m := r.add(n, "Attention", a, 3, n.Inputs[0], n.Inputs[1], n.Inputs[2], nil, n.In(3), n.In(4))
	for i := range 3 {
		if v := n.Out(i); v != nil {
			r.take(m, i, v)
		}
	}
	c.raised("Attention")
}

// firstPrompt raises GroupQueryAttention without a past.
func (c *context) firstPrompt(r *rewriter, n *graph.Node, a attrs, heads, kv int64) {
	in := headsApart(r, n, a, heads, kv)
	for i := 1; i < 3; i++ {
		if v := n.Out(i); v != nil {
			same := r.add(n, "Identity", nil, 1, in[i])
			r.take(same, 0, v)
		}
	}
	c.raised("Attention")
}

// headsApart raises attention over the first three inputs of n, and more behind them, with
// heads on an axis of their own: so it shows which keys and values the graph returns, and
// which are repeated or come from a cache. It returns queries, keys and values.
func headsApart(r *rewriter, n *graph.Node, a attrs, heads, kv int64, more ...*graph.Value) (in [3]*graph.Value) {
	perm := attrs{"perm": []int64{0, 2, 1, 3}}
	for i, h := range []int64{heads, kv, kv} {
		in[i] = r.op1(n, "Transpose", perm, r.op1(n, "Reshape", nil, n.Inputs[i], r.ints(0, 0, h, -1)))
	}
	delete(a, "q_num_heads")
	delete(a, "kv_num_heads")
	m := r.add(n, "Attention", a, 1, append(in[:], more...)...)
	y := r.op1(n, "Reshape", nil, r.op1(n, "Transpose", perm, m.Outputs[0]), r.ints(0, 0, -1))
	r.take(y.Def, 0, n.Outputs[0])
	return in
}

// noMore reports whether a bias leaves what a causal attention sees as it is.
func (c *context) noMore(n *graph.Node, bias *graph.Value) bool {
	masks, ok := c.eval(bias)
	rows := n.Inputs[1].Type.Shape[1]
	first := graph.Const(0)
	if n.In(3) != nil {
		first = n.Inputs[3].Type.Shape[2]
	}
	return ok && c.causal(masks, n.Inputs[0].Type.Shape[1], first.Add(rows), first)
}

// fullLength reports whether seqlens_k + 1 is past + new rows under every probe.
func (c *context) fullLength(n *graph.Node) bool {
	if n.In(5) == nil {
		return n.In(3) == nil
	}
	lens, ok := c.eval(n.Inputs[5])
	if !ok {
		return false
	}
	total := n.Inputs[1].Type.Shape[1]
	if n.In(3) != nil {
		total = total.Add(n.Inputs[3].Type.Shape[2])
	}
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

// multiHead: keys and values are inputs of three axes, the mask is additive.
func (c *context) multiHead(r *rewriter, n *graph.Node) {
	plain := n.In(1) != nil && n.In(2) != nil && len(n.Inputs[0].Type.Shape) == 3 && len(n.Inputs[1].Type.Shape) == 3 && len(n.Inputs[2].Type.Shape) == 3
	for i := 3; i < len(n.Inputs); i++ {
		plain = plain && (n.Inputs[i] == nil || i == 5)
	}
	heads := n.Int("num_heads", 0)
	if !plain || heads < 1 || n.Out(1) != nil || n.Out(2) != nil || n.Out(3) != nil {
		c.note("%s: this form of MultiHeadAttention is not raised", n.ID())
		return
	}
	a := attrs{"q_num_heads": heads, "kv_num_heads": heads, "is_causal": n.Int("unidirectional", 0)}
	if s := n.Float("scale", 0); s != 0 {
		a["scale"] = s
	}
	c.raised("Attention")
	bias := n.In(5)
	if bias == nil {
		m := r.add(n, "Attention", a, 1, n.Inputs[:3]...)
		r.take(m, 0, n.Outputs[0])
		return
	}
	headsApart(r, n, a, heads, heads, bias)
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
