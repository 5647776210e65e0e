package partition

import (
	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// insertCopies gives every value the space of the node that makes it, and
// inserts a Copy once per value and space that reads it elsewhere. A copy stands
// right behind its producer and is shared by all readers in that space. Constants
// are uploaded where they are read, not copied between devices; a state lives
// where its readers run, without copies.
func insertCopies(g *graph.Graph) {
	state := g.StateValues()
	for _, v := range g.Inputs {
		v.Type.Space = graph.Host
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil {
				v.Type.Space = graph.Space(n.Target)
			}
		}
	}
	uses := g.Uses()
	for _, s := range g.States { // a session's state is made where it is read
		for _, u := range uses[s.In] {
			if u.Node != nil {
				s.In.Type.Space = graph.Space(u.Node.Target)
			}
		}
	}
	type key struct {
		v     *graph.Value
		space graph.Space
	}
	copies := map[key]*graph.Value{}
	behind := map[*graph.Node][]*graph.Node{} // nil: at the start
	in := func(v *graph.Value, space graph.Space) *graph.Value {
		if v.Const != nil || v.Type.Space == space {
			return v
		}
		k := key{v, space}
		if c, ok := copies[k]; ok {
			return c
		}
		n := g.NewNode(op.Mnnconv, "Copy", 1, []*graph.Value{v}, v.Name+"@"+string(space))
		n.SetAttr("from", string(v.Type.Space))
		n.SetAttr("to", string(space))
		n.Name, n.Target, n.Cause = n.Outputs[0].Name, string(space), "value "+v.Name+" is read there"
		c := n.Outputs[0]
		c.Type = v.Type
		c.Type.Space = space
		copies[k] = c
		behind[v.Def] = append(behind[v.Def], n)
		return c
	}
	for _, n := range g.Nodes {
		space := graph.Space(n.Target)
		for i, v := range n.Inputs {
			if v != nil {
				n.Inputs[i] = in(v, space)
			}
		}
		for _, b := range n.Bodies {
			for i, v := range b.Outer {
				b.Outer[i] = in(v, space)
			}
		}
	}
	for i, v := range g.Outputs {
		if !state[v] {
			g.Outputs[i] = in(v, graph.Host)
		}
	}
	nodes := append([]*graph.Node{}, behind[nil]...)
	for _, n := range g.Nodes {
		nodes = append(append(nodes, n), behind[n]...)
	}
	g.Nodes = nodes
}
