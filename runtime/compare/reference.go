package compare

import (
	"context"
	"fmt"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/op"
)

// Reference evaluates a phase's graph, which is not placed, for inputs by name
// (states among them), and tells the value of every tensor.
type Reference interface {
	Run(ctx context.Context, g *graph.Graph, in Trace) (Trace, error)
	// Exact reports whether every node's result is that of its operator's definition
	// for the traced inputs, rounded to the dtype of the value.
	Exact() bool
}

// Trace holds the tensors of one evaluation by the names of their values.
type Trace map[string]*graph.Tensor

// of returns the tensor of a value, also where a copy brought it somewhere.
func (t Trace) of(v *graph.Value) *graph.Tensor {
	if v = partition.Source(v); v.Const != nil {
		return v.Const
	}
	return t[v.Name]
}

// Plain evaluates with the operators' definitions, and shares no kernel with any
// backend.
type Plain struct{ Table op.Table }

// Exact implements [Reference].
func (Plain) Exact() bool { return true }

// Run implements [Reference].
func (p Plain) Run(ctx context.Context, g *graph.Graph, in Trace) (Trace, error) {
	out := Trace{}
	for _, v := range g.Inputs {
		t := in[v.Name]
		if t == nil {
			return nil, fmt.Errorf("%w: input %q is missing", graph.ErrType, v.Name)
		}
		out[v.Name] = t
	}
	return out, evaluate(ctx, p.Table, g.Nodes, out)
}

// evaluate runs nodes over the tensors they find in t, and adds theirs.
func evaluate(ctx context.Context, table op.Table, nodes []*graph.Node, t Trace) error {
	get := func(v *graph.Value) *graph.Tensor {
		if v == nil {
			return nil
		}
		return t.of(v)
	}
	for _, n := range nodes {
		if err := ctx.Err(); err != nil {
			return err
		}
		args := make([]*graph.Tensor, len(n.Inputs))
		for i, v := range n.Inputs {
			args[i] = get(v)
		}
		outs, err := table.Eval(ctx, n, args, get)
		if err != nil {
			return err
		}
		for i, v := range n.Outputs {
			if v != nil {
				t[v.Name] = outs[i]
			}
		}
	}
	return nil
}

// symbols are the values of all symbols that the traced shapes tell.
func (t Trace) symbols(g *graph.Graph) graph.Env {
	env := graph.Env{}
	bind := func(v *graph.Value) {
		if x := t.of(v); x != nil {
			_ = env.Bind(v, x) // what contradicts is another check's to report
		}
	}
	for _, v := range g.Inputs {
		bind(v)
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				bind(v)
			}
		}
	}
	return env
}
