package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// Program is a partition ready to be given shapes.
type Program struct {
	table  op.Table
	in     []*graph.Value
	out    []*graph.Value
	groups []Group
	slot   map[*graph.Value]int // every value that exists at run time, constants included
	values []*graph.Value       // by slot
	consts []*graph.Tensor      // by slot: weights where this device reads them
}

// Compile prepares groups, in order, that read the values in (constants apart)
// and must leave the values out. upload gives constants a place in the device's
// memory; nil reads them where they are mapped.
func Compile(table op.Table, groups []Group, in, out []*graph.Value, upload func(*graph.Value) (*graph.Tensor, error)) (*Program, error) {
	p := &Program{table: table, in: in, out: out, groups: groups, slot: map[*graph.Value]int{}}
	add := func(v *graph.Value) {
		if _, ok := p.slot[v]; v != nil && !ok {
			p.slot[v] = len(p.values)
			p.values = append(p.values, v)
		}
	}
	for _, v := range in {
		add(v)
	}
	for _, g := range groups {
		for _, n := range g.Nodes {
			for _, b := range n.Bodies {
				for _, v := range b.Outer {
					if v.Const != nil {
						add(v)
					} else if _, ok := p.slot[v]; !ok {
						return nil, fmt.Errorf("%w: %s captures value %q, which its partition does not have", graph.ErrInvalid, n.ID(), v.Name)
					}
				}
			}
		}
		for _, v := range g.In {
			if v == nil {
				continue
			}
			if _, ok := p.slot[v]; !ok && v.Const == nil {
				return nil, fmt.Errorf("%w: %s reads value %q, which its partition does not have", graph.ErrInvalid, g.Nodes[0].ID(), v.Name)
			}
			add(v)
		}
		for _, n := range g.Nodes { // inner values too: a fused group may have to run node by node
			for _, v := range n.Outputs {
				add(v)
			}
		}
	}
	for _, v := range out {
		if _, ok := p.slot[v]; !ok && v.Const == nil {
			return nil, fmt.Errorf("%w: value %q leaves a partition that does not make it", graph.ErrInvalid, v.Name)
		}
		add(v)
	}
	p.consts = make([]*graph.Tensor, len(p.values))
	for s, v := range p.values {
		if v.Const == nil {
			continue
		}
		p.consts[s] = v.Const
		if upload != nil {
			t, err := upload(v)
			if err != nil {
				return nil, fmt.Errorf("weight %q: %w", v.Name, err)
			}
			p.consts[s] = t
		}
	}
	return p, nil
}
