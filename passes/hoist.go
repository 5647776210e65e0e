package passes

import (
	"fmt"

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

// Hoist finds the integer and boolean values that the probes' inputs alone
// determine, and floats among them whose shape nothing else tells, and makes each
// that other nodes read an input of the graph. Extents that are the same multiple
// of a symbol of the probes, or the same number, under every probe are written so;
// others get a symbol of their own. Loops, NonZero and their like then feed fixed
// shapes. The probes' inputs must decide at least one extent each way.
func Hoist(g *graph.Graph, table op.Table, know Knowledge) ([]Hoisted, error) {
	c := &context{g: g, table: table, know: know, report: &Report{Raised: map[string]int{}}}
	if err := c.infer(); err != nil {
		return nil, err
	}
	if err := constants(c); err != nil {
		return nil, err
	}
	if err := c.infer(); err != nil {
		return nil, err
	}
	if err := simplify(c); err != nil {
		return nil, err
	}
	if err := c.infer(); err != nil {
		return nil, err
	}
	base := map[string]bool{}
	for _, p := range know.Probes {
		for s := range p.Env {
			base[s] = true
		}
	}
	hoistable := func(v *graph.Value) ([]*graph.Tensor, bool) {
		if v.Const != nil || v.Def == nil {
			return nil, false
		}
		t := v.Type
		if t.Kind != graph.TensorKind || t.DType.IsFloat() && fixed(t.Shape, base) {
			return nil, false
		}
		if _, known := c.facts.Elements(v); known {
			return nil, false // shape arithmetic over known symbols stays
		}
		return c.eval(v)
	}
	src := &source{table, c.facts}
	samples := map[*graph.Value][]*graph.Tensor{}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v == nil {
				continue
			}
			if ts, ok := hoistable(v); ok {
				samples[v] = ts
			}
		}
	}
	with := map[*graph.Value]*graph.Value{}
	var out []Hoisted
	take := func(v *graph.Value) {
		ts, ok := samples[v]
		if !ok || with[v] != nil {
			return
		}
		name := c.name(v.Name + ".index")
		in := g.NewInput(name, graph.Type{DType: ts[0].DType, Shape: c.extents(name, ts)})
		with[v] = in
		out = append(out, Hoisted{in, ts, v, src})
	}
	for _, n := range g.Nodes {
		inner := true // every output is hoisted: what it reads need not be an input
		for _, v := range n.Outputs {
			inner = inner && (v == nil || samples[v] != nil)
		}
		if !inner {
			n.Reads(take)
		}
	}
	for _, v := range g.Outputs {
		take(v)
	}
	// The source graph keeps its own nodes: readers in g are redirected one by one.
	for _, n := range g.Nodes {
		inner := true
		for _, v := range n.Outputs {
			inner = inner && (v == nil || samples[v] != nil)
		}
		if inner {
			continue
		}
		for i, v := range n.Inputs {
			if w := with[v]; v != nil && w != nil {
				n.Inputs[i] = w
			}
		}
		for _, b := range n.Bodies {
			for i, v := range b.Outer {
				if w := with[v]; w != nil {
					b.Outer[i] = w
				}
			}
		}
	}
	for i, v := range g.Outputs {
		if w := with[v]; w != nil {
			g.Outputs[i] = w
		}
	}
	g.RemoveDead()
	return out, nil
}

// Compute returns the hoisted values for one set of inputs.
func Compute(values []Hoisted, p Probe) ([]*graph.Tensor, error) {
	out := make([]*graph.Tensor, len(values))
	var pr *prober
	for i, h := range values {
		if pr == nil {
			pr = &prober{c: &context{table: h.source.table, facts: h.source.facts}, probe: p,
				known: map[*graph.Value]*graph.Tensor{}, bad: map[*graph.Value]bool{}}
		}
		if out[i] = pr.eval(h.origin, 0); out[i] == nil {
			return nil, fmt.Errorf("index %q cannot be computed from %v", h.origin.Name, p.Env)
		}
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
	for s := range c.know.Probes[0].Env {
		n := c.know.Probes[0].Env[s]
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
