package compare

import (
	"context"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/op"
)

// mixture is what nodes make where some of them round what others read, as their
// definitions do, and the rest do not: a kernel may keep what it normalised as the
// model's dtype, and add the bias to a product before that is rounded.
type mixture struct {
	known Trace                    // what is given, and what is rounded
	cones map[string][]*graph.Node // that make a value of what is known
}

// mostMixed are the operators of a kernel of which any may round.
const mostMixed = 4

// between lists the operators whose floats others of the nodes read.
func between(nodes []*graph.Node) []string {
	var ops []string
	for _, n := range nodes {
		n.Reads(func(v *graph.Value) {
			if d := v.Def; d != nil && v.Type.DType.IsFloat() && slices.Contains(nodes, d) && !slices.Contains(ops, d.Op) {
				ops = append(ops, d.Op)
			}
		})
	}
	return ops
}

// madeBy lists the values that nodes of some of the operators make: those that bits tell.
func madeBy(nodes []*graph.Node, ops []string, bits int) []string {
	var out []string
	for _, n := range nodes {
		if i := slices.Index(ops, n.Op); i < 0 || bits>>i&1 == 0 {
			continue
		}
		for _, v := range n.Outputs {
			if v != nil {
				out = append(out, v.Name)
			}
		}
	}
	return out
}

// mix has the values named in rounding rounded; nil: the nodes' operators are not defined
// on wider floats.
func mix(ctx context.Context, table op.Table, nodes []*graph.Node, in Trace, rounding []string) *mixture {
	m := &mixture{Trace{}, map[string][]*graph.Node{}}
	for _, n := range nodes {
		var cone []*graph.Node
		n.Reads(func(v *graph.Value) {
			if v.Const != nil || m.known[v.Name] != nil {
				return
			}
			for _, before := range m.cones[v.Name] {
				if !slices.Contains(cone, before) {
					cone = append(cone, before)
				}
			}
			if t := in.of(v); m.cones[v.Name] == nil && t != nil {
				m.known[v.Name] = t
			}
		})
		cone = append(cone, n)
		for _, v := range n.Outputs {
			if v == nil {
				continue
			}
			if m.cones[v.Name] = cone; !slices.Contains(rounding, v.Name) || !v.Type.DType.IsFloat() {
				continue
			}
			if len(cone) == 1 {
				made := Trace{}
				n.Reads(func(v *graph.Value) { made[v.Name] = m.known[v.Name] })
				if evaluate(ctx, table, cone, made) != nil {
					return nil
				}
				m.known[v.Name] = made[v.Name]
				continue
			}
			t, ok := wide(ctx, table, cone, m.known)
			if !ok {
				return nil
			}
			x, err := rounded(t.of(v), v.Type.DType)
			if err != nil {
				return nil
			}
			m.known[v.Name] = x
		}
	}
	return m
}

// of returns a value that the nodes make, rounded and not.
func (m *mixture) of(ctx context.Context, table op.Table, v *graph.Value) (want, exact *graph.Tensor, ok bool) {
	if m == nil {
		return nil, nil, false
	}
	name := partition.Source(v).Name
	t, ok := wide(ctx, table, m.cones[name], m.known)
	if !ok {
		return nil, nil, false
	}
	exact = t.of(v)
	if want = m.known[name]; want == nil {
		var err error
		if want, err = rounded(exact, v.Type.DType); err != nil {
			return nil, nil, false
		}
	}
	return want, exact, true
}

// rounded is a tensor of floats in another type of them.
func rounded(t *graph.Tensor, d graph.DType) (*graph.Tensor, error) {
	v, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	out, err := graph.NewTensor(d, t.Shape...)
	if err != nil {
		return nil, err
	}
	return out, out.SetFloat32s(v)
}
