package op

import (
	"context"
	"fmt"

	"mnnconv/graph"
)

// Eval runs one node on host tensors aligned with its inputs and returns its
// outputs. The error names the node.
func (t Table) Eval(ctx context.Context, n *graph.Node, in []*graph.Tensor, outer func(*graph.Value) *graph.Tensor) ([]*graph.Tensor, error) {
	o, err := t.Lookup(n)
	if err != nil {
		return nil, err
	}
	if o.Eval == nil {
		return nil, fmt.Errorf("%s: %s has no reference evaluation: %w", n.ID(), n.OpName(), ErrUnsupported)
	}
	if err := o.checkArity(n); err != nil {
		return nil, fmt.Errorf("%s: %w", n.ID(), err)
	}
	for i, v := range n.Inputs {
		if v != nil && (i >= len(in) || in[i] == nil) {
			return nil, fmt.Errorf("%s: input %q has no value: %w", n.ID(), v.Name, ErrInput)
		}
		if v != nil {
			if err := o.checkKind(i, in[i].Kind); err != nil {
				return nil, fmt.Errorf("%s: %w", n.ID(), err)
			}
		}
	}
	c := &Call{Ctx: ctx, Node: n, In: in, Out: make([]*graph.Tensor, len(n.Outputs)), Outer: outer, Table: t}
	if err := o.Eval(c); err != nil {
		return nil, fmt.Errorf("%s: %w", n.ID(), err)
	}
	for i, v := range n.Outputs {
		if v != nil && c.Out[i] == nil {
			return nil, fmt.Errorf("%s: output %q was not produced: %w", n.ID(), v.Name, ErrUnsupported)
		}
	}
	return c.Out, nil
}

// Run evaluates a whole graph node by node with the reference
// implementations: slow, plain, and what everything faster is compared with.
// in is aligned with g.Inputs, captures with g.Captures.
func (t Table) Run(ctx context.Context, g *graph.Graph, in, captures []*graph.Tensor) ([]*graph.Tensor, error) {
	if len(in) != len(g.Inputs) || len(captures) != len(g.Captures) {
		return nil, fmt.Errorf("graph %q takes %d inputs and %d captures, got %d and %d: %w",
			g.Name, len(g.Inputs), len(g.Captures), len(in), len(captures), ErrInput)
	}
	values := make([]*graph.Tensor, g.NumValues())
	for i, v := range g.Inputs {
		values[v.ID] = in[i]
	}
	for i, v := range g.Captures {
		values[v.ID] = captures[i]
	}
	get := func(v *graph.Value) *graph.Tensor {
		if v == nil {
			return nil
		}
		if v.Const != nil {
			return v.Const
		}
		return values[v.ID]
	}
	for _, n := range g.Nodes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		args := make([]*graph.Tensor, len(n.Inputs))
		for i, v := range n.Inputs {
			args[i] = get(v)
		}
		outs, err := t.Eval(ctx, n, args, get)
		if err != nil {
			return nil, err
		}
		for i, v := range n.Outputs {
			if v != nil {
				values[v.ID] = outs[i]
			}
		}
	}
	outs := make([]*graph.Tensor, len(g.Outputs))
	for i, v := range g.Outputs {
		if outs[i] = get(v); outs[i] == nil {
			return nil, fmt.Errorf("graph %q: output %q has no value: %w", g.Name, v.Name, ErrInput)
		}
	}
	return outs, nil
}

// RunBody evaluates a body of the node with the given inputs.
func (c *Call) RunBody(b *graph.Body, in []*graph.Tensor) ([]*graph.Tensor, error) {
	captures := make([]*graph.Tensor, len(b.Outer))
	for i, v := range b.Outer {
		captures[i] = c.Outer(v)
	}
	return c.Table.Run(c.Ctx, b.Graph, in, captures)
}
