package passes

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// StateType has the states of a raised graph keep their numbers as another type of
// float: what TensorScatter writes is cast to it, and cast back where it is read. A
// graph that did so already is changed from one type to the other. The graph may be
// placed; new nodes run where the state is.
func StateType(g *graph.Graph, to graph.DType, table op.Table) error {
	c := &context{g: g, table: table, report: &Report{}, facts: op.NewFacts(table)}
	for _, s := range g.States {
		if err := c.computedState(s); err != nil {
			return err
		}
	}
	r := c.rewriter()
	uses := g.Uses()
	for _, s := range g.States {
		write, computed := s.Out.Def, s.In.Type.DType
		if computed == to {
			continue
		}
		cast := func(at *graph.Node, d graph.DType, x *graph.Value) *graph.Value {
			n := r.add(at, "Cast", attrs{"to": int64(d)}, 1, x)
			n.Target, n.Cause = at.Target, at.Cause
			return n.Outputs[0]
		}
		s.In.Type.DType, s.Out.Type.DType = to, to
		write.Inputs[1] = cast(write, to, write.Inputs[1])
		for _, u := range uses[s.Out] {
			if u.Node != nil {
				u.Node.Inputs[u.Index] = cast(u.Node, computed, s.Out)
			}
		}
	}
	if err := r.apply(); err != nil {
		return err
	}
	g.RemoveDead()
	if err := InferPlaced(g, table); err != nil {
		return err
	}
	return graph.Verify(g)
}

// computedState takes the casts away between a state and what computes its numbers and
// reads them, so that it is of their type.
func (c *context) computedState(s graph.State) error {
	write := s.Out.Def
	if !write.Is("TensorScatter") || write.Inputs[0] != s.In || !s.In.Type.DType.IsFloat() {
		return fmt.Errorf("%s: it does not write rows of floats into the state %q (%s): %w", write.ID(), s.In.Name, s.In.Type, op.ErrUnsupported)
	}
	from := write.Inputs[1].Def
	if !from.Is("Cast") {
		return nil
	}
	computed, casts := from.Inputs[0].Type.DType, map[*graph.Value]*graph.Value{}
	for _, u := range c.g.Uses()[s.Out] {
		switch {
		case u.Node == nil:
		case u.Node.Is("Cast") && u.Node.Outputs[0].Type.DType == computed:
			casts[u.Node.Outputs[0]] = s.Out
		default:
			return nil // the numbers are of this type
		}
	}
	write.Inputs[1] = from.Inputs[0]
	s.In.Type.DType, s.Out.Type.DType = computed, computed
	c.g.Replace(casts)
	c.g.Nodes = slices.DeleteFunc(c.g.Nodes, func(n *graph.Node) bool { return n.Is("Cast") && casts[n.Outputs[0]] != nil })
	return nil
}
