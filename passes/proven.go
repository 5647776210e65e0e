package passes

import "mnnconv/graph"

// proven uses what probes show of values that inference cannot tell: the extents of
// a Reshape, and conditions that never hold, or always do. (Exporters divide
// symbolic extents with corrections of signs, and guard softmax against rows that
// see nothing.)
func (c *context) proven() bool {
	if len(c.know.Probes) == 0 {
		return false
	}
	changed := false
	with := map[*graph.Value]*graph.Value{}
	for _, n := range c.g.Nodes {
		switch {
		case n.Is("Reshape"):
			changed = c.provenReshape(n) || changed
		case n.Is("Where"):
			if x := c.chosen(n); x != nil && !c.isOutput(n.Outputs[0]) {
				with[n.Outputs[0]] = x
			}
		}
	}
	c.g.Replace(with)
	return changed || len(with) > 0
}

// provenReshape makes a computed target constant where all extents but one are the
// same under every probe.
func (c *context) provenReshape(n *graph.Node) bool {
	target := n.In(1)
	if target == nil || target.Const != nil || n.Int("allowzero", 0) == 1 && hasZero(n.Outputs[0].Type.Shape) {
		return false
	}
	shapes, ok := c.reshapedTo(n)
	if !ok {
		return false
	}
	static := make([]int64, len(shapes[0]))
	free := -1
	for axis := range static {
		static[axis] = shapes[0][axis]
		for _, s := range shapes {
			if s[axis] == static[axis] && static[axis] != 0 {
				continue
			}
			if free >= 0 && free != axis {
				return false
			}
			free, static[axis] = axis, -1
			break
		}
	}
	n.Inputs[1] = c.g.NewConst(c.name(target.Name+".static"), graph.Ints(static))
	n.SetAttr("allowzero", 0)
	return true
}

// reshapedTo returns the shape of a Reshape's output under every probe.
func (c *context) reshapedTo(n *graph.Node) ([][]int64, bool) {
	targets, ok := c.eval(n.Inputs[1])
	in := n.Inputs[0].Type.Shape
	if !ok || !in.Ranked() {
		return nil, false
	}
	var out [][]int64
	for i, t := range targets {
		have, err := in.Eval(c.know.Probes[i].Env)
		dims, err2 := t.Int64s()
		if err != nil || err2 != nil || len(dims) == 0 || i > 0 && len(dims) != len(out[0]) {
			return nil, false
		}
		total, err := graph.Elements(have)
		if err != nil {
			return nil, false
		}
		s, rest, free := make([]int64, len(dims)), int64(1), -1
		for axis, d := range dims {
			if d == 0 && n.Int("allowzero", 0) == 0 {
				if axis >= len(have) {
					return nil, false
				}
				d = have[axis]
			}
			if s[axis] = d; d == -1 {
				free = axis
				continue
			}
			rest *= d
		}
		if free >= 0 {
			if rest == 0 {
				return nil, false
			}
			s[free] = total / rest
			rest *= s[free]
		}
		if rest != total { // not for this probe: the exporter's graph fails there
			return nil, false
		}
		out = append(out, s)
	}
	return out, len(out) > 0
}

func hasZero(s graph.Shape) bool {
	for _, d := range s {
		if d.IsConst(0) {
			return true
		}
	}
	return false
}

// chosen returns the operand that a Where always returns, or nil.
func (c *context) chosen(n *graph.Node) *graph.Value {
	conds, ok := c.eval(n.Inputs[0])
	if !ok {
		return nil
	}
	var first byte
	for i, t := range conds {
		if t.DType != graph.Bool {
			return nil
		}
		for k, b := range t.Data {
			if i == 0 && k == 0 {
				first = b
			}
			if b != first {
				return nil
			}
		}
	}
	x := n.Inputs[2]
	if first != 0 {
		x = n.Inputs[1]
	}
	if s := x.Type.Shape; !s.Ranked() || !s.Equal(n.Outputs[0].Type.Shape) {
		return nil
	}
	return x
}
