package passes

import (
	"math"
	"slices"

	p "mnnconv/graph"
)

// sdpaPattern is softmax(q·kᵀ·scale + mask)·v with the scale and mask optional
// and casts around the softmax allowed (scaled dot-product attention, Vaswani et
// al. 2017, as exporters decompose it).
var sdpaPattern = func() *p.Pattern {
	qk := p.Op("MatMul", p.Any("q"), p.Any("kt"))
	scaled := p.Or(p.Op("Mul", qk, p.ScalarOf("scale")), p.Op("Div", qk, p.ScalarOf("root")), qk)
	masked := p.Or(p.Op("Add", scaled, p.Any("mask")), scaled)
	soft := p.Op("Softmax", p.Maybe("Cast", masked)).As("softmax")
	return p.Op("MatMul", p.Maybe("Cast", p.Maybe("Cast", soft)), p.Any("v"))
}()

// attention raises decomposed attention, and tidies what any Attention reads:
// heads repeated for grouped queries, a cache joined by Concat, and a mask that
// probes show to be causal.
func attention(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if n.Is("MatMul") {
			c.sdpa(r, n)
		}
	}
	if err := r.apply(); err != nil {
		return err
	}
	if err := c.infer(); err != nil {
		return err
	}
	r = c.rewriter()
	for _, n := range c.g.Nodes {
		if n.Is("Attention") {
			c.tidyAttention(r, n)
		}
	}
	return r.apply()
}

func (c *context) sdpa(r *rewriter, n *p.Node) {
	b, ok := sdpaPattern.Match(n.Outputs[0])
	if !ok {
		return
	}
	soft, out := b.Node("softmax"), n.Outputs[0]
	q, kt, v := b.Value("q"), b.Value("kt"), b.Value("v")
	for _, x := range []*p.Value{q, kt, v, soft.Outputs[0], out} {
		if len(x.Type.Shape) != 4 {
			return
		}
	}
	last := int64(-1)
	if soft.Version < 13 {
		last = 1 // and all axes behind it
	}
	if axis := soft.Int("axis", last); axis != -1 && axis != 3 {
		return
	}
	if v.Type.DType != q.Type.DType || out.Type.DType != q.Type.DType || broadcasts(q, kt) || broadcasts(q, v) ||
		!kt.Type.Shape[1].Equal(v.Type.Shape[1]) {
		return
	}
	scale := float32(1)
	if s, ok := b.Float("scale"); ok {
		scale = s
	}
	if s, ok := b.Float("root"); ok {
		scale = 1 / s
	}
	// Exporters also scale q and k before their product.
	q, scale = unscale(q, scale)
	kt, scale = unscale(kt, scale)
	var k *p.Value
	if d := kt.Def; d.Is("Transpose") {
		switch perm := d.Ints("perm"); {
		case equalInts(perm, 0, 1, 3, 2):
			k = d.Inputs[0]
			k, scale = unscale(k, scale)
		case equalInts(perm, 0, 2, 3, 1):
			k = r.op1(n, "Transpose", attrs{"perm": []int64{0, 2, 1, 3}}, d.Inputs[0])
		}
	}
	if k == nil {
		k = r.op1(n, "Transpose", attrs{"perm": []int64{0, 1, 3, 2}}, kt)
	}
	ins := []*p.Value{q, k, v}
	if mask := b.Value("mask"); mask != nil {
		if mask.Type.DType != q.Type.DType || len(mask.Type.Shape) < 2 || spreads(mask, q) {
			return
		}
		ins = append(ins, mask)
	}
	m := r.add(n, "Attention", attrs{"scale": scale}, 1, ins...)
	r.take(m, 0, n.Outputs[0])
	c.raised("Attention")
}

// broadcasts reports whether x [batch, heads, …] has to be repeated to go with the
// query: for its batch always, for its heads where Attention would not.
func broadcasts(q, x *p.Value) bool {
	a, b := q.Type.Shape, x.Type.Shape
	return a[0].IsConst(1) != b[0].IsConst(1) || a[1].IsConst(1) && !b[1].IsConst(1)
}

// spreads reports whether a mask has a batch or heads that the query is provably
// repeated for.
func spreads(mask, q *p.Value) bool {
	for axis := range 2 {
		i := len(mask.Type.Shape) - 4 + axis
		if i >= 0 && q.Type.Shape[axis].IsConst(1) && !mask.Type.Shape[i].IsConst(1) {
			return true
		}
	}
	return false
}

// unscale takes a constant factor off a value.
func unscale(v *p.Value, scale float32) (*p.Value, float32) {
	if n := v.Def; n.Is("Mul") {
		for i, x := range n.Inputs {
			if k := n.Inputs[1-i]; k.Const != nil && k.Const.Kind == p.TensorKind && k.Const.Len() == 1 && x.Type.Shape.Equal(v.Type.Shape) {
				if f, err := k.Const.Float32s(); err == nil {
					return x, scale * f[0]
				}
			}
		}
	}
	return v, scale
}

func (c *context) tidyAttention(r *rewriter, n *p.Node) {
	if len(n.Inputs[0].Type.Shape) != 4 {
		return
	}
	k, v := c.unrepeat(r, n.Inputs[1]), c.unrepeat(r, n.Inputs[2])
	if k.Type.Shape[1].Equal(v.Type.Shape[1]) {
		n.Inputs[1], n.Inputs[2] = k, v
	}
	k, v = n.Inputs[1], n.Inputs[2]
	pastK, newK := c.joinedCache(k)
	pastV, newV := c.joinedCache(v)
	// Causality and windows count from the first key, behind a past from its end:
	// they must not be set already when a past moves into the node.
	join := pastK != nil && pastV != nil && n.In(4) == nil && n.In(6) == nil && n.Int("is_causal", 0) == 0 && !windowed(n)
	first := p.Const(0)
	if join {
		first = pastK.Type.Shape[2]
	}
	if mask := n.In(3); mask != nil && n.In(4) == nil && n.In(6) == nil && n.Int("is_causal", 0) == 0 {
		if ts, ok := c.eval(mask); ok && c.causal(ts, n.Inputs[0].Type.Shape[2], k.Type.Shape[2], first) {
			n.Inputs[3] = nil
			n.SetAttr("is_causal", 1)
		}
	}
	// What reads the joined caches will read the node's outputs: none of it may lead
	// into the node.
	if !join || leadsTo([]*p.Value{k, v}, n.Inputs[0], n.In(3), newK, newV) {
		return
	}
	ins := []*p.Value{n.Inputs[0], newK, newV, n.In(3), pastK, pastV}
	m := r.add(n, "Attention", attrsOf(n), 3, ins...)
	r.take(m, 0, n.Outputs[0])
	r.take(m, 1, k)
	r.take(m, 2, v)
}

// leadsTo reports whether any of the values is computed from one of from.
func leadsTo(from []*p.Value, values ...*p.Value) bool {
	seen := map[*p.Value]bool{}
	for len(values) > 0 {
		v := values[len(values)-1]
		values = values[:len(values)-1]
		if v == nil || seen[v] {
			continue
		}
		seen[v] = true
		if slices.Contains(from, v) {
			return true
		}
		if v.Def != nil {
			v.Def.Reads(func(x *p.Value) { values = append(values, x) })
		}
	}
	return false
}

func windowed(n *p.Node) bool {
	return n.Int("left_window_size", -1) != -1 || n.Int("right_window_size", -1) != -1
}

// unrepeat follows Reshape(Expand(Unsqueeze(x))), which repeats heads for grouped
// queries, back to x [batch, kv heads, rows, width].
func (c *context) unrepeat(r *rewriter, v *p.Value) *p.Value {
	if t := v.Def; t.Is("Transpose") && equalInts(t.Ints("perm"), 0, 2, 1, 3) { // repeated before heads and rows changed places
		if x, s := unrepeatRows(t.Inputs[0]); x != nil {
			for _, n := range c.g.Nodes { // the cache that is an output, if there is one
				if n.Is("Transpose") && equalInts(n.Ints("perm"), 0, 2, 1, 3) && n.Inputs[0].Type.Shape.Equal(s) &&
					(n.Inputs[0] == x || n.Inputs[0].Def.Is("Reshape") && n.Inputs[0].Def.Inputs[0] == x) {
					return n.Outputs[0]
				}
			}
			if target, ok := staticTarget(x.Type.Shape, s); ok {
				return r.op1(t, "Transpose", attrs{"perm": []int64{0, 2, 1, 3}}, r.op1(t, "Reshape", nil, x, r.ints(target...)))
			}
		}
	}
	re := v.Def
	if !re.Is("Reshape") || len(v.Type.Shape) != 4 {
		return v
	}
	ex := re.Inputs[0].Def
	if !ex.Is("Expand") || len(ex.Outputs[0].Type.Shape) != 5 {
		return v
	}
	un := ex.Inputs[0].Def
	if !un.Is("Unsqueeze") {
		return v
	}
	x := un.Inputs[0]
	axes, ok := axesOf(un)
	s, wide := x.Type.Shape, ex.Outputs[0].Type.Shape
	if !ok || len(axes) != 1 || axes[0] != 2 || len(s) != 4 {
		return v
	}
	for i, from := range []int{0, 1, -1, 2, 3} {
		if from >= 0 && !wide[i].Equal(s[from]) {
			return v
		}
	}
	out := v.Type.Shape
	if !out[1].Equal(wide[1].Mul(wide[2])) || !out[3].Equal(s[3]) {
		return v
	}
	return x
}

// unrepeatRows follows heads repeated behind rows back to x, which reshaped to s is
// [batch, rows, kv heads, width]; nil for anything else.
func unrepeatRows(v *p.Value) (x *p.Value, s p.Shape) {
	re := v.Def
	if !re.Is("Reshape") || len(v.Type.Shape) != 4 || !re.Inputs[0].Def.Is("Expand") {
		return nil, nil
	}
	ex := re.Inputs[0].Def
	narrow, wide := ex.Inputs[0].Type.Shape, ex.Outputs[0].Type.Shape
	if len(narrow) != 5 || len(wide) != 5 || !narrow[3].IsConst(1) {
		return nil, nil
	}
	for i := range narrow {
		if i != 3 && !narrow[i].Equal(wide[i]) {
			return nil, nil
		}
	}
	out, un := v.Type.Shape, ex.Inputs[0].Def
	if !out[2].Equal(wide[2].Mul(wide[3])) || !out[3].Equal(wide[4]) || !out[1].Equal(wide[1]) || !un.Is("Unsqueeze") && !un.Is("Reshape") {
		return nil, nil
	}
	return un.Inputs[0], p.Shape{narrow[0], narrow[1], narrow[2], narrow[4]}
}

// joinedCache splits Concat(past, new) along the rows where past is a graph input.
func (c *context) joinedCache(v *p.Value) (past, fresh *p.Value) {
	n := v.Def
	if !n.Is("Concat") || len(n.Inputs) != 2 {
		return nil, nil
	}
	if axis := n.Int("axis", 0); axis != 2 && axis != -2 {
		return nil, nil
	}
	if !slices.Contains(c.g.Inputs, n.Inputs[0]) {
		return nil, nil
	}
	return n.Inputs[0], n.Inputs[1]
}

// causal reports whether a mask lets query row i see exactly the key rows up to
// first + i, under every probe. Boolean masks say true, additive ones 0, where a
// row may be seen; additive masks hide with at most -10,000.
func (c *context) causal(masks []*p.Tensor, queries, keys, first p.Dim) bool {
	for i, t := range masks {
		env := c.know.Probes[i].Env
		q, err := queries.Eval(env)
		k, err2 := keys.Eval(env)
		f, err3 := first.Eval(env)
		if err != nil || err2 != nil || err3 != nil || !visible(t, q, k, func(row, col int64) bool { return col <= f+row }) {
			return false
		}
	}
	return len(masks) > 0
}

// visible reports whether a mask of shape [1…, queries, keys] shows exactly what
// want says.
func visible(t *p.Tensor, queries, keys int64, want func(row, col int64) bool) bool {
	r := len(t.Shape)
	if r < 2 || t.Shape[r-2] != queries || t.Shape[r-1] != keys || int64(t.Len())%max(1, queries*keys) != 0 {
		return false
	}
	see := make([]bool, t.Len())
	if t.DType == p.Bool {
		for i, b := range t.Data {
			see[i] = b != 0
		}
	} else {
		f, err := t.Float32s()
		if err != nil {
			return false
		}
		for i, x := range f {
			if see[i] = x == 0; !see[i] && !(x <= -1e4) {
				return false
			}
		}
	}
	for i, s := range see {
		at := int64(i) % (queries * keys)
		if s != want(at/keys, at%keys) {
			return false
		}
	}
	return true
}

func equalInts(v []int64, want ...int64) bool { return slices.Equal(v, want) }

func invSqrt(n int64) float32 { return float32(1 / math.Sqrt(float64(n))) }
