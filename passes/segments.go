package passes

import (
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// segments raises attention of one sequence under a block-diagonal mask to
// mnnconv.SegmentedAttention: a dense mask of a 1242×881 picture would be 238 MB.
// Which boundaries the mask stands for is found among the known candidates.
func segments(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if !n.Is("Attention") || n.In(4) != nil || !plain(n) || n.Out(0) == nil || n.Out(1) != nil || n.Out(2) != nil {
			continue
		}
		if n.In(3) == nil {
			c.whole(r, n)
			continue
		}
		masks, ok := c.eval(n.Inputs[3])
		if !ok {
			continue
		}
		s := c.boundaries(func(i int, values []int64) bool { return blockDiagonal(masks[i], values) })
		if s == nil {
			c.note("%s: its mask matches no known segments", n.ID())
			continue
		}
		c.segmented(r, n, n.Inputs[0], n.Inputs[1], n.Inputs[2], func() *graph.Value { return c.inputOf(s) })
	}
	return r.apply()
}

// whole gives attention over all rows the segments that it is meant to stay within.
func (c *context) whole(r *rewriter, n *graph.Node) {
	for k := range c.know.Segments {
		s := &c.know.Segments[k]
		if !s.Whole || len(s.Values) != len(c.know.Probes) || len(s.Values) == 0 {
			continue
		}
		several, all := false, true
		for i, v := range s.Values {
			several = several || len(v) > 2
			rows, err := tokensOf(n).Eval(c.know.Probes[i].Env)
			all = all && err == nil && rows == v[len(v)-1]
		}
		if !all {
			return
		}
		c.segmented(r, n, n.Inputs[0], n.Inputs[1], n.Inputs[2], func() *graph.Value { return c.inputOf(s) })
		if several {
			c.repaired("attention over all frames of a video at once: segmented attention by %s", s.Input)
		}
		return
	}
}

// tokensOf is the number of rows that an attention's queries have.
func tokensOf(n *graph.Node) graph.Dim {
	s := n.Inputs[0].Type.Shape
	if len(s) < 2 {
		return graph.Const(-1)
	}
	if len(s) == 4 { // [batch, heads, tokens, width]
		return s[2]
	}
	return s[1]
}

// plain reports whether an attention operator lets every query see every key that
// a mask allows, and does nothing to the scores but scaling.
func plain(n *graph.Node) bool {
	return n.Int("is_causal", 0) == 0 && n.Int("unidirectional", 0) == 0 && !windowed(n) && n.Float("softcap", 0) == 0 &&
		n.In(6) == nil && n.Out(3) == nil
}

// bare reports whether an attention operator is plain and has no mask and no cache.
func bare(n *graph.Node) bool {
	return plain(n) && n.In(3) == nil && n.In(4) == nil && n.Out(1) == nil && n.Out(2) == nil
}

// boundaries returns the first candidate that fits every probe, or nil.
func (c *context) boundaries(fits func(probe int, values []int64) bool) *Segments {
	for k := range c.know.Segments {
		s := &c.know.Segments[k]
		ok := len(s.Values) == len(c.know.Probes) && len(s.Values) > 0
		for i := range s.Values {
			ok = ok && fits(i, s.Values[i])
		}
		if ok {
			return s
		}
	}
	return nil
}

// inputOf returns the graph input that carries the segments.
func (c *context) inputOf(s *Segments) *graph.Value {
	for _, v := range c.g.Inputs {
		if v.Name == s.Input {
			return v
		}
	}
	c.name(s.Input)
	return c.g.NewInput(s.Input, graph.TensorOf(s.DType, graph.Sym(s.Input+".length")))
}

func blockDiagonal(mask *graph.Tensor, cu []int64) bool {
	if len(cu) < 2 {
		return false
	}
	rows := cu[len(cu)-1]
	segment := make([]int, rows)
	for s := range len(cu) - 1 {
		for i := cu[s]; i < cu[s+1]; i++ {
			segment[i] = s
		}
	}
	return visible(mask, rows, rows, func(row, col int64) bool { return segment[row] == segment[col] })
}

// segmented replaces the attention n by SegmentedAttention over [tokens, heads,
// width], and asks for the boundaries once that is possible.
func (c *context) segmented(r *rewriter, n *graph.Node, q, k, v *graph.Value, cu func() *graph.Value) {
	out := n.Outputs[0]
	both := n.Int("num_heads", 0)
	perm := attrs{"perm": []int64{0, 2, 1, 3}}
	rows := func(x *graph.Value, heads int64) *graph.Value {
		s := x.Type.Shape
		if len(s) == 4 {
			h, ok := s[1].Int()
			w, ok2 := s[3].Int()
			if !ok || !ok2 || !s[0].IsConst(1) {
				return nil
			}
			return r.op1(n, "Reshape", nil, r.op1(n, "Transpose", perm, x), r.ints(-1, h, w))
		}
		w, ok := s[len(s)-1].Int()
		if !ok || heads == 0 || w%heads != 0 || !s[0].IsConst(1) {
			return nil
		}
		return r.op1(n, "Reshape", nil, x, r.ints(-1, heads, w/heads))
	}
	q3, k3, v3 := rows(q, n.Int("q_num_heads", both)), rows(k, n.Int("kv_num_heads", both)), rows(v, n.Int("kv_num_heads", both))
	if q3 == nil || k3 == nil || v3 == nil {
		c.note("%s: attention over a batch of sequences is not segmented", n.ID())
		return
	}
	a := attrs{}
	if s := n.Float("scale", 0); s != 0 {
		a["scale"] = s
	}
	m := r.addIn(n, op.Mnnconv, "SegmentedAttention", 1, a, 1, q3, k3, v3, cu())
	y := m.Outputs[0]
	ys := y.Type.Shape
	if len(ys) != 3 {
		return // not typed: apply says why
	}
	if len(out.Type.Shape) == 4 && len(q.Type.Shape) == 4 {
		h, _ := ys[1].Int()
		w, _ := ys[2].Int()
		y = r.op1(n, "Reshape", nil, y, r.ints(1, -1, h, w))
		y = r.op1(n, "Transpose", perm, y)
	} else {
		w, _ := ys[1].Mul(ys[2]).Int()
		y = r.op1(n, "Reshape", nil, y, r.ints(1, -1, w))
	}
	r.take(y.Def, 0, out)
	c.raised("SegmentedAttention")
}

// segmentLoop raises a Loop whose body attends within rows start to end of three
// outer tensors [1, tokens, heads·width], with start and end neighbours in a
// vector of boundaries, and appends the result to a tensor that grows.
//
// One loop's result feeds the next one's input, and a Loop hides its shape: they
// are raised in turn, with inference between.
func segmentLoop(c *context) error {
	for {
		before := c.report.Raised["SegmentedAttention"]
		if err := c.segmentLoops(); err != nil {
			return err
		}
		if c.report.Raised["SegmentedAttention"] == before {
			return nil
		}
		if err := c.infer(); err != nil {
			return err
		}
	}
}

func (c *context) segmentLoops() error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if !n.Is("Loop") || len(n.Outputs) != 1 || n.Outputs[0] == nil {
			continue
		}
		inner, q, k, v, cu := loopAttention(n)
		if inner == nil || !c.everySegment(n, cu) {
			continue
		}
		bounds := func() *graph.Value { return cu }
		if ts, ok := c.eval(cu); ok {
			known := c.boundaries(func(i int, values []int64) bool {
				have, err := ts[i].Int64s()
				return err == nil && slices.Equal(dedup(have), dedup(values))
			})
			if known != nil {
				bounds = func() *graph.Value { return c.inputOf(known) }
			}
		}
		m := *inner // its attributes, at the loop's place
		m.Name, m.Outputs = n.Name, n.Outputs
		c.segmentedAt(r, n, &m, q, k, v, bounds)
	}
	return r.apply()
}

func (c *context) segmentedAt(r *rewriter, at, inner *graph.Node, q, k, v *graph.Value, bounds func() *graph.Value) {
	c.segmented(r, inner, q, k, v, bounds)
	r.before[at] = append(r.before[at], r.before[inner]...)
	delete(r.before, inner)
}

func dedup(v []int64) []int64 { return slices.Compact(slices.Clone(v)) }

// everySegment reports whether the loop runs once for each two neighbours in cu,
// whatever its condition, and appends to nothing.
func (c *context) everySegment(n *graph.Node, cu *graph.Value) bool {
	trips, ok := c.facts.Elements(n.In(0))
	bounds, first := cu.Type.Shape, n.Inputs[2].Type.Shape
	return n.In(1) == nil && ok && len(trips) == 1 && len(bounds) == 1 && trips[0].Equal(bounds[0].Sub(graph.Const(1))) &&
		len(first) == 3 && first[1].IsConst(0)
}

// loopAttention recognises the body and returns its attention node with the
// outer tensors, all of three axes, or nil.
func loopAttention(n *graph.Node) (inner *graph.Node, q, k, v, cu *graph.Value) {
	b := n.Body("body")
	if b == nil || len(b.Graph.Outputs) != 2 || len(b.Graph.Inputs) != 3 || len(n.Inputs) != 3 {
		return nil, nil, nil, nil, nil
	}
	g := b.Graph
	join := g.Outputs[1].Def
	if !join.Is("Concat") || len(join.Inputs) != 2 || join.Inputs[0] != g.Inputs[2] || join.Int("axis", 0) != 1 {
		return nil, nil, nil, nil, nil
	}
	att := join.Inputs[1].Def
	if att == nil || att.Op != "MultiHeadAttention" && att.Op != "Attention" || len(att.Inputs) < 3 || !plain(att) {
		return nil, nil, nil, nil, nil
	}
	for i := 3; i < len(att.Inputs); i++ {
		if att.Inputs[i] != nil {
			return nil, nil, nil, nil, nil
		}
	}
	var from [3]*graph.Value
	for i := range from {
		x, bounds := segmentOf(att.Inputs[i], b)
		if x == nil || cu != nil && bounds != cu {
			return nil, nil, nil, nil, nil
		}
		from[i], cu = x, bounds
	}
	return att, from[0], from[1], from[2], cu
}

// segmentOf recognises rows cu[i] to cu[i+1] of an outer tensor, where i counts
// the loop's iterations; both are nil for anything else.
func segmentOf(v *graph.Value, b *graph.Body) (x, cu *graph.Value) {
	g := b.Graph
	outer := func(v *graph.Value) *graph.Value {
		if i := slices.Index(g.Captures, v); i >= 0 {
			return b.Outer[i]
		}
		return nil
	}
	s := v.Def
	if !s.Is("Slice") || s.In(2) == nil || s.In(3) == nil || s.In(4) != nil || !onlyAxis(s.Inputs[3], 1) {
		return nil, nil
	}
	start, end := s.Inputs[1].Def, s.Inputs[2].Def
	if !start.Is("Gather") || !end.Is("Gather") || start.Inputs[0] != end.Inputs[0] || start.Int("axis", 0) != 0 || end.Int("axis", 0) != 0 {
		return nil, nil
	}
	if !dependsOn(start.Inputs[1], g.Inputs[0]) || !next(end.Inputs[1], start.Inputs[1]) {
		return nil, nil
	}
	x, cu = outer(s.Inputs[0]), outer(start.Inputs[0])
	if x == nil || cu == nil || len(x.Type.Shape) != 3 {
		return nil, nil
	}
	return x, cu
}

// onlyAxis reports whether v is the constant list of one axis. (Inference makes a
// capture of a constant a constant.)
func onlyAxis(v *graph.Value, axis int64) bool {
	if v.Const == nil || v.Const.Kind != graph.TensorKind || v.Const.Len() != 1 {
		return false
	}
	have, err := v.Const.Int64s()
	return err == nil && have[0] == axis
}

// dependsOn reports whether v is the iteration counter up to shape and dtype.
func dependsOn(v, counter *graph.Value) bool {
	for range 8 {
		if v == counter {
			return true
		}
		n := v.Def
		if !n.Is("Reshape") && !n.Is("Cast") && !n.Is("Unsqueeze") && !n.Is("Identity") {
			return false
		}
		v = n.Inputs[0]
	}
	return false
}

// next reports whether b is a + 1.
func next(b, a *graph.Value) bool {
	n := b.Def
	if !n.Is("Add") {
		return false
	}
	one := n.Inputs[1]
	if n.Inputs[0] != a {
		one = n.Inputs[0]
		if n.Inputs[1] != a {
			return false
		}
	}
	for range 4 { // the 1 may come cast
		if one.Const != nil || one.Def == nil || !one.Def.Is("CastLike") && !one.Def.Is("Cast") {
			break
		}
		one = one.Def.Inputs[0]
	}
	if one.Const == nil || one.Const.Kind != graph.TensorKind || one.Const.Len() != 1 {
		return false
	}
	x, err := one.Const.Int64s()
	return err == nil && x[0] == 1
}
