package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"mnnconv/graph"
)

// span is where the nodes of the template's layers lie: layer k is nodes
// [at[k], at[k+1]).
type span struct{ at []int }

// layersOf finds the layers by the name of each one's first node, and that of the
// first node after the last.
func layersOf(g *graph.Graph, firsts ...string) (span, error) {
	var s span
	for _, name := range firsts {
		i := slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return n.Name == name })
		if i < 0 {
			return s, fmt.Errorf("the template has no node %q", name)
		}
		s.at = append(s.at, i)
	}
	return s, nil
}

// all returns the nodes of all layers.
func (s span) all(g *graph.Graph) []*graph.Node { return g.Nodes[s.at[0]:s.at[len(s.at)-1]] }

// stack replaces the template's layers by n: layer i is a copy of the template's
// layer pick(i), which is 0 or 1, and 0 for the first. The first node of a layer is
// the one that reads the layer before; what else a layer reads is its own, or
// stands before all layers, or is shared by the first.
func stack(g *graph.Graph, s span, n int, pick func(int) int) {
	first, end := s.at[0], s.at[len(s.at)-1]
	inside := map[*graph.Value]bool{} // what the template's layers define
	for _, node := range s.all(g) {
		for _, v := range node.Outputs {
			inside[v] = true
		}
	}
	old := *g
	perLayer := func(v *graph.Value) bool { return inside[v] || layerName.MatchString(v.Name) }
	g.Inputs = slices.DeleteFunc(slices.Clone(old.Inputs), perLayer)
	g.Outputs = slices.DeleteFunc(slices.Clone(old.Outputs), perLayer)
	g.Nodes = slices.Clone(old.Nodes[:first])
	residual := old.Nodes[first].Inputs[0]
	for i := range n {
		k := pick(i)
		c := copier{g: g, from: k, to: i, with: map[*graph.Value]*graph.Value{old.Nodes[s.at[k]].Inputs[0]: residual}}
		for _, node := range old.Nodes[s.at[k]:s.at[k+1]] {
			for _, v := range node.Inputs {
				if c.with[v] == nil && slices.Contains(old.Inputs, v) && perLayer(v) {
					c.with[v] = v
					if !c.same() {
						c.with[v] = g.NewValue(c.name(v.Name), graph.Type{})
						c.describe(c.with[v], v)
					}
					g.Inputs = append(g.Inputs, c.with[v])
				}
			}
			g.Nodes = append(g.Nodes, c.node(node))
		}
		for _, v := range old.Outputs {
			if c.with[v] != nil {
				g.Outputs = append(g.Outputs, c.with[v])
			}
		}
		residual = c.value(old.Nodes[s.at[k+1]].Inputs[0])
	}
	after := slices.Clone(old.Nodes[end:])
	after[0].Inputs[0] = residual
	g.Nodes = append(g.Nodes, after...)
}

// copier copies a layer of the template.
type copier struct {
	g        *graph.Graph
	from, to int // the layer's number there and here
	with     map[*graph.Value]*graph.Value
}

// same reports whether the layer keeps its number. It is then used as it is: other
// layers share values of the first.
func (c *copier) same() bool { return c.from == c.to }

// node copies a node.
func (c *copier) node(n *graph.Node) *graph.Node {
	if c.same() {
		for _, v := range n.Outputs {
			c.with[v] = v
		}
		return n
	}
	var ins []*graph.Value
	for _, v := range n.Inputs {
		ins = append(ins, c.value(v))
	}
	var outs []string
	for _, v := range n.Outputs {
		outs = append(outs, c.name(v.Name))
	}
	m := c.g.NewNode(n.Domain, n.Op, n.Version, ins, outs...)
	m.Name, m.Attrs = c.name(n.Name), n.Attrs
	for i, v := range n.Outputs {
		c.describe(m.Outputs[i], v)
		c.with[v] = m.Outputs[i]
	}
	return m
}

// value returns what stands for a value in the copy.
func (c *copier) value(v *graph.Value) *graph.Value {
	if v == nil || c.with[v] != nil {
		return c.with[v]
	}
	if v.Const != nil && !c.same() {
		c.with[v] = c.g.NewConst(c.name(v.Name), v.Const)
		return c.with[v]
	}
	return v
}

// describe gives a copy the type of what it was made of, its extents named after
// it.
func (c *copier) describe(to, from *graph.Value) {
	to.Type, to.Hints = from.Type, from.Hints
	to.Type.Shape = slices.Clone(from.Type.Shape)
	for i, d := range from.Type.Shape {
		if symbol, ok := d.Symbol(); ok {
			to.Type.Shape[i] = graph.Sym(c.name(symbol))
		}
	}
}

// layerName matches names that say which layer they are of.
var layerName = regexp.MustCompile(`\b(layers|blocks|past_key_values|present)\.(\d+)\b`)

// name numbers a name for the copy.
func (c *copier) name(name string) string {
	if c.same() {
		return name
	}
	if layerName.MatchString(name) {
		return layerName.ReplaceAllString(name, "$1."+strconv.Itoa(c.to))
	}
	return name + "." + strconv.Itoa(c.to)
}
