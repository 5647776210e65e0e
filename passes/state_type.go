package passes

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// StateType has the states of a raised graph keep their numbers as another type of
// float: what TensorScatter writes is cast to it, and cast back where it is read; or
// as int8, see quantisedState. A graph that did so already is changed from one type to
// the other. The graph may be placed; new nodes run where the state is.
func StateType(g *graph.Graph, to graph.DType, table op.Table) error {
	c := &context{g: g, table: table, report: &Report{}, facts: op.NewFacts(table)}
	for _, s := range slices.Clone(g.States) {
		if !slices.Contains(g.States, s) { // of scales, and gone with its codes
			continue
		}
		if err := c.computedState(s); err != nil {
			return err
		}
	}
	r := c.rewriter()
	uses := g.Uses()
	for _, s := range slices.Clone(g.States) {
		computed := s.In.Type.DType
		if computed == to {
			continue
		}
		if to == graph.Int8 {
			if err := c.quantisedState(r, s, uses[s.Out]); err != nil {
				return err
			}
			continue
		}
		s.In.Type.DType, s.Out.Type.DType = to, to
		write := s.Out.Def
		write.Inputs[1] = r.cast(write, to, write.Inputs[1])
		for _, u := range uses[s.Out] {
			if u.Node != nil {
				u.Node.Inputs[u.Index] = r.cast(u.Node, computed, s.Out)
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

// beside is add of a node with one output where another one runs.
func (r *rewriter) beside(at *graph.Node, opname string, a attrs, ins ...*graph.Value) *graph.Value {
	n := r.add(at, opname, a, 1, ins...)
	n.Target, n.Cause = at.Target, at.Cause
	return n.Outputs[0]
}

// cast returns a value as another type of float.
func (r *rewriter) cast(at *graph.Node, to graph.DType, x *graph.Value) *graph.Value {
	if x.Type.DType == to {
		return x
	}
	return r.beside(at, "Cast", attrs{"to": int64(to)}, x)
}

// computedState takes away what stands between a state and what computes its numbers
// and reads them, so that it is of their type.
func (c *context) computedState(s graph.State) error {
	write := s.Out.Def
	if !write.Is("TensorScatter") || write.Inputs[0] != s.In || !s.In.Type.DType.IsFloat() && s.In.Type.DType != graph.Int8 {
		return fmt.Errorf("%s: it does not write rows of floats into the state %q (%s): %w", write.ID(), s.In.Name, s.In.Type, op.ErrUnsupported)
	}
	if s.In.Type.DType == graph.Int8 {
		return c.dequantisedState(s)
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
	c.asComputed(s, computed, casts)
	return nil
}

// asComputed makes a state one of the type that is computed: instead of what was made
// of it, it is read itself.
func (c *context) asComputed(s graph.State, computed graph.DType, made map[*graph.Value]*graph.Value) {
	s.In.Type.DType, s.Out.Type.DType = computed, computed
	c.g.Replace(made)
	c.g.Nodes = slices.DeleteFunc(c.g.Nodes, func(n *graph.Node) bool { return made[n.Out(0)] != nil })
}
