package passes

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// kvState turns past inputs and present outputs of attention into states
// [batch, kv heads, capacity, width]: TensorScatter writes the new rows at
// write_indices, Attention reads the first nonpad_kv_seqlen rows. Shapes then no
// longer depend on how many tokens came before.
func kvState(c *context) error {
	if c.know.Cache == nil {
		return nil
	}
	r := c.rewriter()
	g := c.g
	var at, lengths *graph.Value
	layer := 0
	if err := c.openCaches(); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		if !n.Is("Attention") || n.In(4) == nil {
			continue
		}
		if n.Int("is_causal", 0) != 1 || n.In(3) != nil {
			return fmt.Errorf("%s: its mask could not be shown to be causal, so its cache cannot become a state: %w", n.ID(), op.ErrUnsupported)
		}
		if n.Out(0) == nil || n.Out(3) != nil {
			return fmt.Errorf("%s: its cache cannot become a state while its scores, or nothing of it, is read: %w", n.ID(), op.ErrUnsupported)
		}
		q, k := n.Inputs[0], n.Inputs[1]
		if at == nil {
			batch := graph.Shape{q.Type.Shape[0]}
			at = g.NewInput(c.know.Cache.WriteIndices, graph.Type{DType: graph.Int64, Shape: batch})
			lengths = g.NewInput(c.know.Cache.Lengths, graph.Type{DType: graph.Int64, Shape: batch})
		}
		flat := len(q.Type.Shape) == 3
		heads := func(x *graph.Value, h int64) *graph.Value {
			if !flat {
				return x
			}
			x = r.op1(n, "Reshape", nil, x, r.ints(0, 0, h, -1))
			return r.op1(n, "Transpose", attrs{"perm": []int64{0, 2, 1, 3}}, x)
		}
		kv := n.Int("kv_num_heads", 0)
		caches := make([]*graph.Value, 2)
		for i, kind := range []string{"key", "value"} {
			past, present := n.Inputs[4+i], n.Out(1+i)
			if !slices.Contains(g.Inputs, past) || present == nil || !slices.Contains(g.Outputs, present) {
				return fmt.Errorf("%s: its cache is not an input and output of the graph: %w", n.ID(), op.ErrUnsupported)
			}
			ps := past.Type.Shape
			state := graph.Type{DType: k.Type.DType, Shape: graph.Shape{q.Type.Shape[0], ps[1], c.know.Cache.Capacity, ps[3]}}
			if _, known := ps[3].Int(); !known { // some exporters leave the head's width symbolic
				w, ok := k.Type.Shape[len(k.Type.Shape)-1].Div(graph.Const(max(1, kv))).Int()
				if !flat {
					w, ok = k.Type.Shape[3].Int()
				}
				if !ok {
					return fmt.Errorf("%s: the width of its heads is unknown: %w", n.ID(), op.ErrUnsupported)
				}
				state.Shape[3] = graph.Const(w)
			}
			in := g.NewInput(c.name(fmt.Sprintf("kv.%d.%s", layer, kind)), state)
			m := r.add(n, "TensorScatter", attrs{"axis": -2, "mode": "linear"}, 1, in, heads(n.Inputs[1+i], kv), at)
			out := m.Outputs[0]
			out.Type = state
			g.States = append(g.States, graph.State{In: in, Out: out})
			drop(&g.Inputs, past)
			drop(&g.Outputs, present)
			g.Outputs = append(g.Outputs, out)
			caches[i] = out
		}
		a := attrsOf(n)
		delete(a, "q_num_heads") // heads have an axis now
		delete(a, "kv_num_heads")
		out := n.Outputs[0]
		m := r.add(n, "Attention", a, 1, heads(q, n.Int("q_num_heads", 0)), caches[0], caches[1], nil, nil, nil, lengths)
		y := m.Outputs[0]
		if flat {
			y = r.op1(n, "Transpose", attrs{"perm": []int64{0, 2, 1, 3}}, y)
			y = r.op1(n, "Reshape", nil, y, r.ints(0, 0, -1))
		}
		r.take(y.Def, 0, out)
		r.remove(n)
		c.raised("KV state")
		layer++
	}
	if err := r.apply(); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		if n.Is("Attention") && n.In(6) == nil {
			return fmt.Errorf("%s: its keys and values are not those of a cache, so later tokens would not see earlier ones: %w", n.ID(), op.ErrUnsupported)
		}
	}
	return nil
}

// openCaches gives a past to attention without one whose keys and values are outputs
// of the graph: a graph of the first prompt alone. What its causal attention sees of
// new tokens, it sees of earlier ones too.
func (c *context) openCaches() error {
	r := c.rewriter()
	g := c.g
	for _, n := range g.Nodes {
		if !n.Is("Attention") || n.In(1) == nil || n.In(2) == nil || n.In(4) != nil || n.In(6) != nil || len(n.Inputs[1].Type.Shape) != 4 {
			continue
		}
		at := [2]int{returned(g, n.Inputs[1]), returned(g, n.Inputs[2])}
		if at[0] < 0 || at[1] < 0 {
			continue
		}
		if n.Int("is_causal", 0) != 1 || n.In(3) != nil {
			return fmt.Errorf("%s: its mask could not be shown to be causal, so its cache cannot become a state: %w", n.ID(), op.ErrUnsupported)
		}
		if n.Out(1) != nil || n.Out(2) != nil || n.Out(3) != nil {
			return fmt.Errorf("%s: its cache cannot become a state while its own or its scores are read: %w", n.ID(), op.ErrUnsupported)
		}
		ins := []*graph.Value{n.Inputs[0], n.Inputs[1], n.Inputs[2], nil}
		for _, x := range n.Inputs[1:3] {
			s := slices.Clone(x.Type.Shape)
			s[2] = graph.Sym("past")
			ins = append(ins, g.NewInput(c.name(x.Name+".past"), graph.Type{DType: x.Type.DType, Shape: s}))
		}
		m := r.add(n, "Attention", attrsOf(n), 3, ins...)
		r.take(m, 0, n.Outputs[0])
		g.Outputs[at[0]], g.Outputs[at[1]] = m.Outputs[1], m.Outputs[2]
		r.remove(n)
	}
	if err := r.apply(); err != nil {
		return err
	}
	return c.infer()
}

// returned is the index of the graph's output that is a value, or a copy of it; -1
// if there is none.
func returned(g *graph.Graph, v *graph.Value) int {
	return slices.IndexFunc(g.Outputs, func(o *graph.Value) bool { return o == v || o.Def.Is("Identity") && o.Def.Inputs[0] == v })
}

func drop(list *[]*graph.Value, v *graph.Value) {
	if i := slices.Index(*list, v); i >= 0 {
		*list = slices.Delete(*list, i, i+1)
	}
}
