package passes

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// oneSequence finds rows [rows, heads, width] that a Reshape lays out as as many
// windows of equal length as known segments have, so that attention runs over
// windows as over a batch. That is right only where all windows are equal: here the
// rows stay one sequence, and [equalWindows] gives the attention over them the
// segments.
func oneSequence(c *context) error {
	c.windows = map[*graph.Value]*Segments{}
	for c.layOut() { // what follows on the attention has known extents only then
		for _, step := range []func(*context) error{(*context).infer, simplify, (*context).infer} {
			if err := step(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// equalWindows segments the attention over what was laid out as windows.
func equalWindows(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if !n.Is("Attention") || c.windows[n.Outputs[0]] == nil {
			continue
		}
		seg := c.windows[n.Outputs[0]]
		if !bare(n) {
			return fmt.Errorf("%s: this form of attention over equal windows is not raised: %w", n.ID(), op.ErrUnsupported)
		}
		delete(c.windows, n.Outputs[0])
		c.segmented(r, n, n.Inputs[0], n.Inputs[1], n.Inputs[2], func() *graph.Value { return c.inputOf(seg) })
		c.repaired("windows of equal length, which are wrong where windows are not (pictures whose sides are no multiples of a window, and videos): segmented attention by %s", seg.Input)
	}
	for v := range c.windows {
		return fmt.Errorf("%s: rows are laid out as equal windows, and no attention over them is recognised: the result would be wrong where windows differ: %w", v.Name, op.ErrUnsupported)
	}
	return r.apply()
}

// layOut lays rows that are in equal windows out as one sequence, and reports
// whether there were any. c.windows gets what the attention over them returns.
func (c *context) layOut() bool {
	found := false
	for _, n := range c.g.Nodes {
		if !n.Is("Reshape") || n.In(1) == nil || n.In(1).Const != nil {
			continue
		}
		s := n.Inputs[0].Type.Shape
		if len(s) != 3 {
			continue
		}
		heads, ok := s[1].Int()
		width, ok2 := s[2].Int()
		seg := c.countedSegments(n.Inputs[1])
		if !ok || !ok2 || seg == nil || !c.endsIn(n.Inputs[1], heads, width) {
			continue
		}
		n.Inputs[1] = c.g.NewConst(c.name(n.Inputs[1].Name+".one"), graph.Ints([]int64{1, -1, heads, width}))
		n.SetAttr("allowzero", 0)
		for _, v := range attended(n.Outputs[0], c.g.Uses()) {
			c.windows[v] = seg
		}
		found = true
	}
	return found
}

// countedSegments returns the candidate that has as many segments, under every
// probe, as the first extent of a Reshape's target says; nil if there is none, or if
// it is always one.
func (c *context) countedSegments(target *graph.Value) *Segments {
	ts, ok := c.eval(target)
	if !ok {
		return nil
	}
	several := false
	s := c.boundaries(func(i int, values []int64) bool {
		dims, err := ts[i].Int64s()
		several = several || err == nil && len(dims) > 0 && dims[0] > 1
		return err == nil && len(dims) == 4 && dims[0] == int64(len(values)-1)
	})
	if !several {
		return nil
	}
	return s
}

// endsIn reports whether a target of four extents ends in heads and width under
// every probe.
func (c *context) endsIn(target *graph.Value, heads, width int64) bool {
	ts, ok := c.eval(target)
	for _, t := range ts {
		dims, err := t.Int64s()
		ok = ok && err == nil && len(dims) == 4 && dims[2] == heads && (dims[3] == width || dims[3] == -1)
	}
	return ok
}

// attended follows queries, keys or values to the results of the attention over
// them, decomposed or not; the value itself where there is none.
func attended(v *graph.Value, uses map[*graph.Value][]graph.Use) []*graph.Value {
	type step struct {
		v    *graph.Value
		soft bool // behind the softmax
	}
	var out []*graph.Value
	seen := map[*graph.Value]bool{}
	for todo := []step{{v, false}}; len(todo) > 0; {
		s := todo[0]
		todo = todo[1:]
		for _, u := range uses[s.v] {
			n := u.Node
			if n == nil || seen[n.Out(0)] {
				continue
			}
			y := n.Outputs[0]
			switch {
			case n.Is("Attention"), n.Domain == op.Microsoft && n.Op == "MultiHeadAttention":
				out = append(out, y)
			case n.Is("MatMul") && (s.soft || u.Index == 1 && softened(n.Inputs[0])):
				out = append(out, y)
			case n.Is("Softmax"):
				todo = append(todo, step{y, true})
			case n.Is("MatMul") && n.Inputs[1-u.Index].Const == nil, n.Is("Transpose"), n.Is("Reshape"), n.Is("Cast"), n.Is("Mul"), n.Is("Div"), n.Is("Add"):
				todo = append(todo, step{y, s.soft})
			default:
				continue
			}
			seen[y] = true
		}
	}
	if len(out) == 0 {
		return []*graph.Value{v}
	}
	return out
}

// softened reports whether a value is a softmax, or one cast.
func softened(v *graph.Value) bool {
	for range 3 {
		if v.Def.Is("Softmax") {
			return true
		}
		if !v.Def.Is("Cast") {
			return false
		}
		v = v.Def.Inputs[0]
	}
	return false
}

// splitWindows raises a Concat of attentions over the parts of one Split each for
// query, key and value, in order and with constant sizes: a graph that was traced
// for one size of picture.
func splitWindows(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if n.Is("Concat") {
			c.splitAttention(r, n)
		}
	}
	return r.apply()
}

func (c *context) splitAttention(r *rewriter, n *graph.Node) {
	axis := n.Int("axis", 0)
	var from [3]*graph.Node
	var first *graph.Node
	perm := []int64(nil)
	for i, v := range n.Inputs {
		att := v.Def
		if att.Is("Transpose") {
			if perm = att.Ints("perm"); !equalInts(perm, 0, 2, 1, 3) {
				return
			}
			att = att.Inputs[0].Def
		} else if perm != nil {
			return
		}
		if !att.Is("Attention") || !bare(att) {
			return
		}
		for k := range from {
			split := att.Inputs[k].Def
			if !split.Is("Split") || att.Inputs[k].Index != i || len(split.Outputs) != len(n.Inputs) || i > 0 && split != from[k] {
				return
			}
			if a := split.Int("axis", 0); a != 2 && a != -2 {
				return
			}
			from[k] = split
		}
		if first == nil {
			first = att
		} else if att.Float("scale", 0) != first.Float("scale", 0) {
			return
		}
	}
	if first == nil || perm == nil && axis != 2 && axis != -2 || perm != nil && axis != 1 && axis != -3 {
		return
	}
	cu := []int64{0}
	for i := range n.Inputs {
		var sizes [3]int64
		for k, split := range from {
			size, ok := split.Outputs[i].Type.Shape[2].Int()
			if !ok {
				return
			}
			sizes[k] = size
		}
		if sizes[0] != sizes[1] || sizes[0] != sizes[2] {
			return
		}
		cu = append(cu, cu[i]+sizes[0])
	}
	s := c.boundaries(func(_ int, values []int64) bool { return slices.Equal(cu, values) })
	if s == nil {
		c.note("%s: attention over parts %v matches no known segments", n.ID(), cu)
		return
	}
	q, k, v := from[0].Inputs[0], from[1].Inputs[0], from[2].Inputs[0]
	m := *first
	m.Name = n.Name
	whole := c.g.NewValue(c.name("windows"), graph.Type{DType: q.Type.DType, Shape: q.Type.Shape})
	m.Outputs = []*graph.Value{whole}
	c.segmentedAt(r, n, &m, q, k, v, func() *graph.Value { return c.inputOf(s) })
	if perm != nil {
		y := r.op1(n, "Transpose", attrs{"perm": []int64{0, 2, 1, 3}}, whole)
		r.take(y.Def, 0, n.Outputs[0])
		return
	}
	r.take(whole.Def, whole.Index, n.Outputs[0])
}
