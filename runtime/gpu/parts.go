package gpu

import (
	"slices"

	"mnnconv/graph"
)

// of returns the tensor of a value that the group reads, makes or works with.
func (r *Recorder) of(g *Group, v *graph.Value) *Tensor {
	for _, side := range []struct {
		values  []*graph.Value
		tensors []*Tensor
	}{{g.In, r.In}, {g.Out, r.Out}, {g.Work, r.Work}} {
		if i := slices.Index(side.values, v); v != nil && i >= 0 {
			return side.tensors[i]
		}
	}
	return nil
}

// part returns a recorder for one of the groups that g was fused of.
func (r *Recorder) part(g, part *Group) *Recorder {
	sub := &Recorder{In: make([]*Tensor, len(part.In)), Out: make([]*Tensor, len(part.Out)), Node: r.Node, d: r.d, limits: r.limits, host: make([]*graph.Tensor, len(part.In))}
	for i, v := range part.In {
		sub.In[i] = r.of(g, v)
		if v != nil {
			sub.host[i] = v.Const
		}
	}
	for i, v := range part.Out {
		sub.Out[i] = r.of(g, v)
	}
	return sub
}

// parts records the groups that g was fused of, one after the other.
func (r *Recorder) parts(g *Group, parts []Group) error {
	for i := range parts {
		if parts[i].Record == nil {
			continue
		}
		sub := r.part(g, &parts[i])
		if err := parts[i].Record(sub); err != nil {
			return err
		}
		r.join(sub)
	}
	return nil
}

// join appends what sub recorded.
func (r *Recorder) join(sub *Recorder) {
	for _, s := range sub.scratch {
		s.command += len(r.commands)
		r.scratch = append(r.scratch, s)
	}
	r.commands = append(r.commands, sub.commands...)
	r.needs, r.counts = max(r.needs, sub.needs), max(r.counts, sub.counts)
}
