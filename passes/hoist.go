package passes

import (
	"fmt"
	"maps"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// Hoisted is a value that depends on nothing but a few small inputs (a picture's
// grid): it is computed on the host before the graph runs, and Input, a new input
// of the graph, stands for it. Samples holds its value under each probe.
type Hoisted struct {
	Input   *graph.Value
	Samples []*graph.Tensor
	origin  *graph.Value // in the source graph
	source  *source
}

// source is the graph as it was, from which hoisted values are computed.
type source struct {
	table op.Table
	facts *op.Facts
}

// Hoist finds the values that the probes' inputs alone determine, and makes each
// that other nodes read an input of the graph: integers and booleans first, then
// the floats whose shape nothing else tells even so. Extents that are the same
// multiple of a symbol of the probes, or the same number, under every probe are
// written so; others get a symbol of their own. Loops, NonZero and their like then
// feed fixed shapes. A hoisted value may depend on those before it.
func Hoist(g *graph.Graph, table op.Table, know Knowledge) ([]Hoisted, error) {
	c := &context{g: g, table: table, know: know, report: &Report{Raised: map[string]int{}}}
	for _, step := range []func(*context) error{(*context).infer, constants, (*context).infer, simplify, (*context).infer} {
		if err := step(c); err != nil {
			return nil, err
		}
	}
	out := c.hoist(func(v *graph.Value) bool { return !v.Type.DType.IsFloat() })
	if err := c.infer(); err != nil {
		return nil, err
	}
	for i := range c.know.Probes { // what is an input now is known to the second round
		p := Probe{Env: c.know.Probes[i].Env, Inputs: maps.Clone(c.know.Probes[i].Inputs)}
		for _, h := range out {
			p.Inputs[h.Input.Name] = h.Samples[i]
		}
		c.know.Probes[i] = p
	}
	base := map[string]bool{}
	for _, v := range g.Inputs {
		for _, d := range v.Type.Shape {
			d.Symbols(base)
		}
	}
	return append(out, c.hoist(func(v *graph.Value) bool { return !fixed(v.Type.Shape, base) })...), nil
}

// hoist makes inputs of the values that want accepts and every probe can compute.
func (c *context) hoist(want func(*graph.Value) bool) []Hoisted {
	g := c.g
	src := &source{c.table, c.facts}
	samples := map[*graph.Value][]*graph.Tensor{}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v == nil || v.Type.Kind != graph.TensorKind {
				continue
			}
			if _, known := c.facts.Elements(v); known {
				continue // shape arithmetic over known symbols stays
			}
			if ts, ok := c.eval(v); ok && want(v) {
				samples[v] = ts
			}
		}
	}
	with := map[*graph.Value]*graph.Value{}
	var out []Hoisted
	outside := func(n *graph.Node) bool { // reads hoisted values without being hoisted itself
		for _, v := range n.Outputs {
			if v != nil && samples[v] == nil {
				return true
			}
		}
		return false
	}
	swap := func(v *graph.Value) *graph.Value {
		ts, ok := samples[v]
		if !ok {
			return v
		}
		if with[v] == nil {
			name := c.name(v.Name + ".index")
			with[v] = g.NewInput(name, graph.Type{DType: ts[0].DType, Shape: c.extents(name, ts)})
			out = append(out, Hoisted{with[v], ts, v, src})
		}
		return with[v]
	}
	// The nodes behind hoisted values stay as they are, to compute them later; only
	// readers outside are redirected.
	for _, n := range g.Nodes {
		if !outside(n) {
			continue
		}
		for i, v := range n.Inputs {
			if v != nil {
				n.Inputs[i] = swap(v)
			}
		}
		for _, b := range n.Bodies {
			for i, v := range b.Outer {
				b.Outer[i] = swap(v)
			}
		}
	}
	for i, v := range g.Outputs {
		g.Outputs[i] = swap(v)
	}
	g.RemoveDead()
	return out
}

// Compute returns the hoisted values, all of one Hoist in order, for one set of
// inputs.
func Compute(values []Hoisted, p Probe) ([]*graph.Tensor, error) {
	out := make([]*graph.Tensor, len(values))
	done := map[*graph.Value]*graph.Tensor{}
	for i, h := range values {
		pr := newProber(&context{table: h.source.table, facts: h.source.facts}, p, done, graph.MaxElements)
		if out[i] = pr.eval(h.origin, 0); out[i] == nil {
			return nil, fmt.Errorf("index %q cannot be computed from the grid", h.origin.Name)
		}
		done[h.Input] = out[i]
	}
	return out, nil
}

// fixed reports whether every extent is made of the probes' symbols.
func fixed(s graph.Shape, base map[string]bool) bool {
	if !s.Ranked() {
		return false
	}
	set := map[string]bool{}
	for _, d := range s {
		d.Symbols(set)
	}
	for name := range set {
		if !base[name] {
			return false
		}
	}
	return true
}

// extents writes the sample shapes in the probes' symbols.
func (c *context) extents(name string, ts []*graph.Tensor) graph.Shape {
	shape := graph.Shape{}
	for axis := range ts[0].Shape {
		shape = append(shape, c.extent(fmt.Sprintf("%s.%d", name, axis), axis, ts))
	}
	return shape
}

func (c *context) extent(fresh string, axis int, ts []*graph.Tensor) graph.Dim {
	first := ts[0].Shape[axis]
	same := true
	for _, t := range ts {
		same = same && t.Shape[axis] == first
	}
	if same {
		return graph.Const(first)
	}
	env := c.know.Probes[0].Env
	for _, s := range slices.Sorted(maps.Keys(env)) {
		n := env[s]
		if n == 0 || first%n != 0 {
			continue
		}
		k, ok := first/n, true
		for i, t := range ts {
			ok = ok && t.Shape[axis] == k*c.know.Probes[i].Env[s]
		}
		if ok {
			return graph.Const(k).Mul(graph.Sym(s))
		}
	}
	return graph.Sym(fresh)
}
