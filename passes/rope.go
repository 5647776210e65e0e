package passes

import (
	p "mnnconv/graph"
	"mnnconv/schemas/op"
)

// ropePattern is x·cos + rotate_half(x)·sin (Su et al. 2021, in the half-split
// form of Hugging Face's apply_rotary_pos_emb).
var ropePattern = func() *p.Pattern {
	x := p.Any("x")
	half := p.Op("Concat", p.Op("Neg", p.Op("Slice", x).More().As("high")), p.Op("Slice", x).More().As("low")).As("half")
	return p.Op("Add", p.Op("Mul", x, p.Any("cos")), p.Op("Mul", half, p.Any("sin")))
}()

// rope raises rotary embeddings to RotaryEmbedding with tables of half the width,
// one row per token.
func rope(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		switch {
		case n.Is("Add"):
			c.ropeHalves(r, n)
		case n.Domain == op.LlmExporter && n.Op == "FusedRoPE":
			c.ropeFused(r, n)
		case n.Domain == op.Microsoft && n.Op == "MRotaryEmbedding":
			c.ropeMulti(r, n)
		case n.Domain == op.Microsoft && n.Op == "RotaryEmbedding":
			c.ropeMicrosoft(r, n)
		}
	}
	return r.apply()
}

func (c *context) ropeHalves(r *rewriter, n *p.Node) {
	out := n.Outputs[0]
	b, ok := ropePattern.Match(out)
	if !ok {
		return
	}
	x, cos, sin := b.Value("x"), b.Value("cos"), b.Value("sin")
	rank := len(x.Type.Shape)
	if rank < 3 {
		return
	}
	if axis := b.Node("half").Int("axis", 0); axis != -1 && axis != int64(rank-1) {
		return
	}
	width, ok := x.Type.Shape[rank-1].Int()
	if !ok || width%2 != 0 || !sliceIs(b.Node("low"), rank, 0, width/2, width) || !sliceIs(b.Node("high"), rank, width/2, width, width) {
		return
	}
	dt := out.Type.DType
	if x.Type.DType != dt || cos.Type.DType != dt || sin.Type.DType != dt {
		return
	}
	head, ok := headAxis(x.Type.Shape, cos.Type.Shape)
	if !ok || !cos.Type.Shape.Equal(sin.Type.Shape) || !c.symmetric(cos) || !c.symmetric(sin) {
		return
	}
	if y := c.rotate(r, n, x, c.halfTable(r, n, cos, width), c.halfTable(r, n, sin, width), head); y != nil {
		r.take(y.Def, 0, out)
		c.raised("RotaryEmbedding")
	}
}

// rotate emits RotaryEmbedding of x, whose heads are on the given axis, with
// tables [batch, tokens, width/2]; nil if the layout is unknown.
func (c *context) rotate(r *rewriter, at *p.Node, x, cos, sin *p.Value, head int) *p.Value {
	s := x.Type.Shape
	heads, ok := s[head].Int()
	width, ok2 := s[len(s)-1].Int()
	if !ok || !ok2 {
		return nil
	}
	if len(s) == 4 && head == 1 { // [batch, heads, tokens, width]
		return r.op1(at, "RotaryEmbedding", nil, x, cos, sin)
	}
	flat := []int64{0, 0, heads * width}
	switch {
	case len(s) == 3 && head == 1: // [tokens, heads, width]
		flat = []int64{1, -1, heads * width}
	case len(s) == 4 && head == 2: // [batch, tokens, heads, width]
	default:
		return nil
	}
	y := r.op1(at, "Reshape", nil, x, r.ints(flat...))
	y = r.op1(at, "RotaryEmbedding", attrs{"num_heads": heads}, y, cos, sin)
	back := []int64{0, 0, heads, width}
	if len(s) == 3 {
		back = []int64{-1, heads, width}
	}
	return r.op1(at, "Reshape", nil, y, r.ints(back...))
}

// halfTable brings a table that broadcasts over heads to [batch, tokens, width/2].
func (c *context) halfTable(r *rewriter, at *p.Node, t *p.Value, width int64) *p.Value {
	s := t.Type.Shape
	target := []int64{1, -1, width}
	if len(s) == 4 && !s[0].IsConst(1) { // the batch is kept; the head axis goes
		target = []int64{0, -1, width}
	}
	flat := r.op1(at, "Reshape", nil, t, r.ints(target...))
	return r.op1(at, "Slice", nil, flat, r.ints(0), r.ints(width/2), r.ints(2))
}

// headAxis finds the axis on which the table has extent 1 where x has its heads:
// 1 or 2 of [batch, a, b, width], 1 of [tokens, heads, width]. On the others they
// agree: RotaryEmbedding takes a row of the table for each token.
func headAxis(x, table p.Shape) (int, bool) {
	rank := len(x)
	if len(table) != rank {
		return 0, false
	}
	for axis := 1; axis < rank-1; axis++ {
		_, ok := x[axis].Int()
		ok = ok && table[axis].IsConst(1)
		for other := range rank {
			ok = ok && (other == axis || table[other].Equal(x[other]))
		}
		if ok {
			return axis, true
		}
	}
	return 0, false
}

// sliceIs reports whether n takes [from, to) of the last axis.
func sliceIs(n *p.Node, rank int, from, to, width int64) bool {
	get := func(i int, attr string) (int64, bool) {
		if v := n.Ints(attr); len(v) == 1 {
			return v[0], true
		}
		if v := n.In(i); v != nil && v.Const != nil {
			if s, err := v.Const.Int64s(); err == nil && len(s) == 1 {
				return s[0], true
			}
		}
		return 0, false
	}
	start, ok1 := get(1, "starts")
	end, ok2 := get(2, "ends")
	axis, ok3 := get(3, "axes")
	if n.In(4) != nil {
		if step, ok := get(4, "steps"); !ok || step != 1 {
			return false
		}
	}
	return ok1 && ok2 && ok3 && start == from && min(end, width) == to && (axis == -1 || axis == int64(rank-1))
}

// symmetric reports whether the last axis of a table holds the same numbers in
// both halves: by construction, or under every probe.
func (c *context) symmetric(v *p.Value) bool {
	if joined(v, 0) {
		return true
	}
	ts, ok := c.eval(v)
	if !ok {
		return false
	}
	for _, t := range ts {
		f, err := t.Float32s()
		w := int(t.Shape[len(t.Shape)-1])
		if err != nil || w%2 != 0 {
			return false
		}
		for row := 0; row+w <= len(f); row += w {
			for i := range w / 2 {
				if f[row+i] != f[row+w/2+i] {
					return false
				}
			}
		}
	}
	return true
}

// joined follows element-wise operators and axis changes down to a Concat of a
// value with itself along the last axis.
func joined(v *p.Value, depth int) bool {
	n := v.Def
	if n == nil || n.Domain != "" || depth > 16 {
		return false
	}
	switch n.Op {
	case "Concat":
		axis := n.Int("axis", 0)
		return len(n.Inputs) == 2 && n.Inputs[0] == n.Inputs[1] && (axis == -1 || axis == int64(len(v.Type.Shape)-1))
	case "Cos", "Sin", "Cast":
		return joined(n.Inputs[0], depth+1)
	case "Unsqueeze":
		axes, ok := axesOf(n)
		for _, a := range axes {
			ok = ok && a != -1 && a != int64(len(v.Type.Shape)-1)
		}
		return ok && joined(n.Inputs[0], depth+1)
	}
	return false
}

// ropeFused expands MNN's FusedRoPE(q, k, cos, sin) over [batch, tokens, heads,
// width]; its head norms are not used by this family and are refused.
func (c *context) ropeFused(r *rewriter, n *p.Node) {
	if n.Int("q_norm", 0) != 0 || n.Int("k_norm", 0) != 0 || n.In(3) == nil {
		c.note("%s normalises heads, which is not raised", n.ID())
		return
	}
	width := n.Int("head_dim", 0)
	if width == 0 || n.Int("rope_cut_head_dim", width) != width {
		c.note("%s rotates a part of the head, which is not raised", n.ID())
		return
	}
	cos, sin := n.Inputs[2], n.Inputs[3]
	if !c.symmetric(cos) || !c.symmetric(sin) {
		c.note("%s: its tables could not be shown to repeat in both halves", n.ID())
		return
	}
	for i := range 2 {
		x, out := n.Inputs[i], n.Out(i)
		if out == nil {
			continue
		}
		s := out.Type.Shape
		if len(s) != 4 || !s.Equal(x.Type.Shape) || !cos.Type.Shape.Elements().Equal(s[1].Mul(s[3])) || !sin.Type.Shape.Equal(cos.Type.Shape) {
			c.note("%s: %s with tables %s is not raised", n.ID(), x.Type, cos.Type)
			return
		}
		y := c.rotate(r, n, x, c.halfTable(r, n, cos, width), c.halfTable(r, n, sin, width), 2)
		if y == nil {
			return
		}
		r.take(y.Def, 0, out)
		c.raised("RotaryEmbedding")
	}
}

// ropeMulti expands onnxruntime's MRotaryEmbedding(x, position_ids [3, batch,
// tokens], cos, sin [positions, width/2]): M-RoPE of Qwen2-VL (Wang et al. 2024,
// apply_multimodal_rotary_pos_emb), which takes section i of the table from the
// i-th position. All layers share the gathered tables once equal nodes join.
func (c *context) ropeMulti(r *rewriter, n *p.Node) {
	section := n.Ints("mrope_section")
	heads := n.Int("num_heads", 0)
	angles := int64(0)
	for _, s := range section {
		angles += s
	}
	width := n.Inputs[2].Type.Shape
	if n.Int("interleaved", 0) != 0 || n.Int("mrope_layout", 0) != 0 || n.Int("is_packed_batching", 0) != 0 ||
		n.Int("rotary_embedding_dim", 0) != 0 || heads == 0 || len(section) != 3 || len(n.Inputs[0].Type.Shape) != 3 ||
		len(width) != 2 || !width[1].IsConst(angles) {
		c.note("%s: this form of MRotaryEmbedding is not raised", n.ID())
		return
	}
	table := func(t *p.Value) *p.Value {
		rows := r.op1(n, "Gather", attrs{"axis": 0}, t, n.Inputs[1]) // [3, batch, tokens, width/2]
		split := r.add(n, "Split", attrs{"axis": -1}, 3, rows, r.ints(section...))
		parts := make([]*p.Value, 3)
		for i := range parts {
			k := c.g.NewConst(c.name("axis"), p.Scalar(int64(i)))
			parts[i] = r.op1(n, "Gather", attrs{"axis": 0}, split.Outputs[i], k)
		}
		return r.op1(n, "Concat", attrs{"axis": -1}, parts...)
	}
	m := r.add(n, "RotaryEmbedding", attrs{"num_heads": heads}, 1, n.Inputs[0], table(n.Inputs[2]), table(n.Inputs[3]))
	r.take(m, 0, n.Outputs[0])
	c.raised("RotaryEmbedding")
}

// ropeMicrosoft rewrites onnxruntime's RotaryEmbedding(x, position_ids, cos, sin
// [positions, width/2]). Exporters that compute the tables for the tokens at hand
// give counting positions; then the tables' rows are those of the tokens.
func (c *context) ropeMicrosoft(r *rewriter, n *p.Node) {
	x, cos, sin := n.In(0), n.In(2), n.In(3)
	s := x.Type.Shape
	heads := n.Int("num_heads", 0)
	width := n.Int("rotary_embedding_dim", 0)
	known := n.In(1) != nil && cos != nil && sin != nil && (len(s) == 4 || len(s) == 3 && heads > 0) && n.Int("is_packed_batching", 0) == 0 &&
		(n.Float("scale", 1) == 1) && len(cos.Type.Shape) == 2 && cos.Type.Shape.Equal(sin.Type.Shape)
	half, ok := int64(0), false
	if known {
		half, ok = cos.Type.Shape[1].Int()
	}
	if !ok || cos.Type.DType != x.Type.DType || sin.Type.DType != x.Type.DType || width != 0 && width != 2*half {
		c.note("%s: this form of RotaryEmbedding is not raised", n.ID())
		return
	}
	a := attrs{}
	if len(s) == 3 {
		a["num_heads"] = heads
	}
	if n.Int("interleaved", 0) == 1 {
		a["interleaved"] = 1
	}
	if width != 0 && !headIs(s, heads, width) {
		a["rotary_embedding_dim"] = width
	}
	tokens := s[len(s)-2]
	switch {
	case c.counts(n.Inputs[1], s[0].Mul(tokens)) && cos.Type.Shape[0].Equal(s[0].Mul(tokens)):
		rows, ok := staticTarget(cos.Type.Shape, p.Shape{s[0], tokens, p.Const(half)})
		if !ok {
			rows = []int64{1, -1, half}
			if !s[0].IsConst(1) {
				c.note("%s: its tables could not be shown to have a row for each token", n.ID())
				return
			}
		}
		cos, sin = r.op1(n, "Reshape", nil, cos, r.ints(rows...)), r.op1(n, "Reshape", nil, sin, r.ints(rows...))
	case len(n.Inputs[1].Type.Shape) == 2:
		cos, sin = r.op1(n, "Gather", attrs{"axis": 0}, cos, n.Inputs[1]), r.op1(n, "Gather", attrs{"axis": 0}, sin, n.Inputs[1])
	default: // the position of the first token
		c.note("%s: positions that only say where the first token is are not raised", n.ID())
		return
	}
	m := r.add(n, "RotaryEmbedding", a, 1, x, cos, sin)
	r.take(m, 0, n.Outputs[0])
	c.raised("RotaryEmbedding")
}

// headIs reports whether the heads of x have a width.
func headIs(x p.Shape, heads, width int64) bool {
	last := x[len(x)-1]
	if len(x) == 3 {
		return last.IsConst(heads * width)
	}
	return last.IsConst(width)
}

// counts reports whether a value counts from 0 up to n under every probe.
func (c *context) counts(v *p.Value, n p.Dim) bool {
	ts, ok := c.eval(v)
	for i, t := range ts {
		want, err := n.Eval(c.know.Probes[i].Env)
		have, err2 := t.Int64s()
		ok = ok && err == nil && err2 == nil && int64(len(have)) == want
		for k, x := range have {
			ok = ok && x == int64(k)
		}
	}
	return ok
}
