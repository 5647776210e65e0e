package compare

import (
	"bytes"
	"context"
	"fmt"

	"mnnconv/graph"
	"mnnconv/partition"
)

// link is an output of a phase as the reference and the cascade have it.
type link struct {
	want, got *graph.Tensor
	precision graph.DType // of the cascade's; undefined: exact
}

// cascade runs the plan as it is and looks at what it makes on the way.
func (c *Comparer) cascade(ctx context.Context, p *phase, in, trace Trace) error {
	g := p.plan.Graph
	state, reached := g.StateValues(), precisions{}
	for _, s := range g.States {
		reached[s.In.Name] = p.reached[partition.Source(s.Out).Name]
	}
	given := make([]*graph.Tensor, len(g.Inputs))
	made := map[*graph.Value]*graph.Tensor{}
	for i, v := range g.Inputs {
		if !state[v] {
			given[i], reached[v.Name] = c.linked(v, in[v.Name])
			made[v] = given[i]
		} else {
			made[v] = p.held[v.Name]
		}
	}
	reached.follow(p.graph.Nodes)
	p.reached = reached
	p.session.Observe(func(v *graph.Value, t *graph.Tensor) error { made[v] = t; return nil })
	if _, err := p.session.Run(ctx, given); err != nil {
		return err
	}
	for _, s := range p.plan.Steps {
		if s.Copy != nil {
			src, dst := s.Copy.Inputs[0], s.Copy.Outputs[0]
			if a, b := made[src], made[dst]; a != nil && b != nil && !bytes.Equal(a.Data, b.Data) {
				c.seen.copied(p, s.Copy)
			}
			continue
		}
		if err := c.look(ctx, p, s.Partition, made, trace); err != nil {
			return err
		}
	}
	for _, s := range g.States {
		p.held[s.In.Name] = made[s.Out]
	}
	for _, v := range g.Outputs {
		if root := partition.Source(v); made[v] != nil && !state[v] {
			c.links[root.Name] = append(c.links[root.Name], link{trace.of(v), made[v], reached[root.Name]})
		}
	}
	return nil
}

// look judges what a partition made in the cascade. One that is right alone, got
// what it should and yet made something else was not run as planned: its memory or
// a wait is wrong.
func (c *Comparer) look(ctx context.Context, p *phase, part *partition.Partition, made map[*graph.Value]*graph.Tensor, trace Trace) error {
	given, from := 0.0, ""
	for _, v := range part.Inputs {
		if t, want := made[v], trace.of(v); t != nil && want != nil {
			m, err := measure(t, want)
			if err != nil {
				return fmt.Errorf("value %q: %w", v.Name, err)
			}
			if m.Relative > given || from == "" && !m.equal {
				given, from = max(given, m.Relative), partition.Source(v).Name
				c.seen.inherited(part, m.Max, partition.Source(v))
			}
		}
	}
	off := false
	for _, v := range part.Outputs {
		m, err := measure(made[v], trace.of(v))
		if err != nil {
			return fmt.Errorf("value %q: %w", v.Name, err)
		}
		tolerance, ok := p.boundary(v, m, p.reached)
		c.seen.tensor(p, part, v).cascaded(m.Figures, tolerance, ok)
		off = off || !ok
	}
	if !off || c.seen.isWrong(part) {
		return nil
	}
	return c.replay(ctx, p, part, made)
}

// replay runs a partition alone over what the cascade gave it.
func (c *Comparer) replay(ctx context.Context, p *phase, part *partition.Partition, made map[*graph.Value]*graph.Tensor) error {
	fed := Trace{}
	for _, v := range part.Inputs {
		fed[partition.Source(v).Name] = made[v]
	}
	outs, x, err := c.run(ctx, p, [][]*graph.Node{part.Nodes}, fed)
	if err != nil {
		return err
	}
	by := precisionsOf(part.Nodes)
	for i, v := range x.Out {
		m, err := measure(made[v], outs[i])
		if err != nil {
			return err
		}
		if _, ok := boundary(by.of(v), m, 1); !ok {
			c.seen.wrong(p, part, []*graph.Node{v.Def}, "alone it is right; where the plan has it run, it is not: its memory, a wait or a copy")
			return nil
		}
	}
	c.seen.inherits(part)
	return nil
}

// linked returns what the cascade has in place of an input that an earlier phase
// put out: what the reference was given, made of the cascade's tensors, and its precision.
func (c *Comparer) linked(v *graph.Value, given *graph.Tensor) (*graph.Tensor, graph.DType) {
	links := c.links[v.Name]
	if len(links) == 0 || given == nil {
		return given, graph.Undefined
	}
	join := func(of func(link) *graph.Tensor) *graph.Tensor {
		out := &graph.Tensor{DType: given.DType, Shape: given.Shape}
		for _, l := range links {
			t := of(l)
			if t.DType == given.DType {
				out.Data = append(out.Data, t.Data...)
				continue
			}
			f, err := t.Float32s()
			if err != nil {
				return given
			}
			k, err := graph.NewTensor(given.DType, t.Shape...)
			if err != nil || k.SetFloat32s(f) != nil {
				return given
			}
			out.Data = append(out.Data, k.Data...)
		}
		return out
	}
	if want := join(func(l link) *graph.Tensor { return l.want }); !bytes.Equal(want.Data, given.Data) {
		return given, graph.Undefined
	}
	delete(c.links, v.Name)
	precision := graph.Undefined
	for _, l := range links {
		precision = coarser(precision, l.precision)
	}
	return join(func(l link) *graph.Tensor { return l.got }), precision
}
