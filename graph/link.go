package graph

import "fmt"

// Inline moves the nodes of sub to the end of g. inputs gives each of sub's
// inputs the value of g that stands for it; inputs that are not in the map become
// inputs of g, and states become states of g. Names that g already has are
// numbered. It returns sub's outputs as values of g; sub must not be used after.
func (g *Graph) Inline(sub *Graph, inputs map[*Value]*Value) []*Value {
	names := map[string]bool{}
	g.each(func(v *Value) { names[v.Name] = true })
	adopted := map[*Value]bool{}
	for _, v := range inputs {
		adopted[v] = true // of g already
	}
	adopt := func(v *Value) {
		if v == nil || adopted[v] {
			return
		}
		adopted[v] = true
		v.ID = g.values
		g.values++
		name := v.Name
		for i := 1; names[name]; i++ {
			name = fmt.Sprintf("%s_%d", v.Name, i)
		}
		names[name] = true
		v.Name = name
	}
	for _, v := range sub.Inputs {
		if inputs[v] == nil {
			adopt(v)
			g.Inputs = append(g.Inputs, v)
		}
	}
	sub.Replace(inputs)
	for _, n := range sub.Nodes {
		n.Reads(func(v *Value) {
			if v.Const != nil {
				adopt(v)
			}
		})
		for _, v := range n.Outputs {
			adopt(v)
		}
	}
	for _, v := range sub.Outputs {
		if v.Const != nil {
			adopt(v)
		}
	}
	g.Nodes = append(g.Nodes, sub.Nodes...)
	g.States = append(g.States, sub.States...)
	return sub.Outputs
}

// each calls f for every value of the graph, some more than once.
func (g *Graph) each(f func(*Value)) {
	for _, v := range g.Inputs {
		f(v)
	}
	for _, v := range g.Captures {
		f(v)
	}
	for _, n := range g.Nodes {
		n.Reads(f)
		for _, v := range n.Outputs {
			if v != nil {
				f(v)
			}
		}
	}
	for _, v := range g.Outputs {
		f(v)
	}
}
