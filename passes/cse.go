package passes

import (
	"fmt"
	"strings"

	"mnnconv/graph"
)

// cse joins nodes of one operator, attributes and inputs, and constants of equal
// small contents.
func (c *context) cse() bool {
	with := map[*graph.Value]*graph.Value{}
	consts := map[string]*graph.Value{}
	canon := func(v *graph.Value) *graph.Value {
		if v == nil {
			return nil
		}
		if w, ok := with[v]; ok {
			return w
		}
		if v.Const == nil || v.Const.Kind != graph.TensorKind || v.Const.DType == graph.String || unread(v.Const) || len(v.Const.Data) > 1<<12 {
			return v
		}
		key := fmt.Sprint(v.Const.DType, v.Const.Shape) + string(v.Const.Data)
		if w, ok := consts[key]; ok {
			if w != v {
				with[v] = w
			}
			return w
		}
		consts[key] = v
		return v
	}
	seen := map[string]*graph.Node{}
	for _, n := range c.g.Nodes {
		o, err := c.table.Lookup(n)
		if err != nil || o.Random || len(n.Bodies) > 0 {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%s.%s.%d", n.Domain, n.Op, n.Version)
		for _, v := range n.Inputs {
			if v == nil {
				b.WriteString(" -")
				continue
			}
			fmt.Fprintf(&b, " %p", canon(v))
		}
		for _, a := range n.Attrs {
			if t, ok := a.Value.(*graph.Tensor); ok {
				fmt.Fprintf(&b, " %s=%p", a.Name, t)
				continue
			}
			fmt.Fprintf(&b, " %q=%T:%#v", a.Name, a.Value, a.Value) // 1, 1.0 and "1" are not the same
		}
		for _, v := range n.Outputs {
			fmt.Fprintf(&b, " %t", v != nil)
		}
		first := seen[b.String()]
		if first == nil {
			seen[b.String()] = n
			continue
		}
		ok := true
		for _, v := range n.Outputs {
			ok = ok && (v == nil || !c.isOutput(v))
		}
		if !ok {
			continue
		}
		for i, v := range n.Outputs {
			if v != nil {
				with[v] = first.Outputs[i]
			}
		}
	}
	c.g.Replace(with)
	return len(with) > 0
}
