package qwen25vl

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// embed adds the lookup of token embeddings and returns [batch, tokens, width].
func embed(g *graph.Graph, e *embedPart, ids *graph.Value, table op.Table) (*graph.Value, error) {
	if e.codes != nil {
		return e.codes.lookup(g, ids), nil
	}
	if e.table != nil {
		t := g.NewConst("embed.table", e.table)
		n := g.NewNode("", "Gather", passes.Opset, []*graph.Value{t, ids}, "embed.rows")
		n.Path = "embed.tokens"
		c := g.NewNode("", "Cast", passes.Opset, []*graph.Value{n.Outputs[0]}, "embed.float")
		c.SetAttr("to", int64(graph.Float32))
		c.Path = "embed.tokens"
		g.Append(n, c)
		return c.Outputs[0], nil
	}
	sub := e.file.model.Graph
	in := named(sub.Inputs, e.ids)
	if in.Type.DType != graph.Int64 {
		return nil, fmt.Errorf("%s: %w: input %q is %s, expected int64", e.file.path, ErrFamily, in.Name, in.Type)
	}
	in.Type.Shape = ids.Type.Shape
	if e.within {
		if _, err := passes.Infer(sub, table); err != nil {
			return nil, fmt.Errorf("%s: %w", e.file.path, err)
		}
		v := embeddingOf(sub, in)
		if v == nil {
			return nil, fmt.Errorf("%s: %w: input %q is not looked up in a table of embeddings", e.file.path, ErrFamily, in.Name)
		}
		sub.Outputs, sub.Inputs = []*graph.Value{v}, []*graph.Value{in}
		sub.RemoveDead()
	}
	if e.features != "" {
		if err := unmerge(sub, e, table); err != nil {
			return nil, fmt.Errorf("%s: %w", e.file.path, err)
		}
	}
	if _, err := passes.Run(sub, table, passes.Knowledge{}); err != nil {
		return nil, fmt.Errorf("%s: %w", e.file.path, err)
	}
	for _, n := range sub.Nodes {
		n.Path = "embed.tokens"
	}
	return g.Inline(sub, map[*graph.Value]*graph.Value{in: ids})[0], nil
}

// unmerge takes the scattering of image rows out of an embedding graph: the
// canonical merge stands behind it, with rows placed by the prompt's own tokens.
// What the graph scatters into is the lookup itself.
func unmerge(sub *graph.Graph, e *embedPart, table op.Table) error {
	out := sub.Outputs[0]
	for range 8 {
		n := out.Def
		if n == nil {
			break
		}
		if n.Is("ScatterND") || n.Is("ScatterElements") || n.Is("Where") {
			data := n.Inputs[0]
			if n.Is("Where") {
				data = n.Inputs[2]
			}
			sub.Outputs[0] = data
			sub.RemoveDead()
			sub.Inputs = slices.DeleteFunc(sub.Inputs, func(v *graph.Value) bool { return v.Name == e.features })
			return graph.Verify(sub)
		}
		out = n.Inputs[0]
	}
	return fmt.Errorf("%w: output %q does not scatter %q into an embedding lookup", ErrFamily, e.output, e.features)
}

// embeddingOf follows token ids to the embeddings [batch, tokens, width] that are
// looked up for them; nil if there are none.
func embeddingOf(g *graph.Graph, ids *graph.Value) *graph.Value {
	v, looked := ids, false
	for _, n := range g.Nodes {
		if !slices.Contains(n.Inputs, v) || n.Out(0) == nil || len(n.Bodies) > 0 {
			continue
		}
		out := n.Outputs[0]
		switch n.Op {
		case "Gather", "GatherBlockQuantized", "GatherND":
			looked = true
		case "DequantizeLinear", "Cast", "Reshape", "Identity", "Unsqueeze", "Squeeze", "Mul":
		default:
			continue
		}
		if v = out; looked && v.Type.DType.IsFloat() && len(v.Type.Shape) == 3 {
			return v
		}
	}
	return nil
}
