package graph

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Graph is a list of nodes in topological order. A body of Loop, If or Scan is
// a Graph too; what it reads from outside is made explicit as Captures, so that
// inside one graph every value is an input, a capture, a constant, or the output
// of an earlier node.
type Graph struct {
	Name     string
	Inputs   []*Value
	Captures []*Value // of a body: stand-ins for values of the graph around it, aligned with Body.Outer
	Outputs  []*Value
	Nodes    []*Node
	States   []State           // values that live from one run to the next, such as a KV cache
	Meta     map[string]string // metadata properties of the file
	Doc      string

	values int // number of values made so far; the next value's ID
}

// State is a tensor that a session keeps from run to run, in one space: the
// graph reads it as In, one of its Inputs, and hands back its new content as
// Out, one of its Outputs. The runtime gives both the same memory.
type State struct {
	In, Out *Value
}

// Value is one SSA value.
type Value struct {
	ID    int    // dense, unique in its graph: an index for side tables
	Name  string // unique in its graph; what messages and files call it
	Type  Type
	Def   *Node    // nil for inputs, captures and constants
	Index int      // which output of Def
	Const *Tensor  // not nil: a constant, known before anything runs
	From  string   // the exporter's name, where Name was replaced by a canonical one
	Hints []string // the exporter's names of the extents: hints, never equalities
}

// Node is one operation.
type Node struct {
	Name    string // the exporter's name: provenance, shown in messages
	Path    string // canonical path such as llm.layers.7.attn.q; empty until raised
	Domain  string // "" is ai.onnx
	Op      string
	Version int      // the opset version of Domain that the node was written for
	Inputs  []*Value // nil: an optional input that is absent
	Outputs []*Value // nil: an optional output that is not wanted
	Attrs   []Attr   // in file order; use the getters
	Bodies  []*Body  // graph attributes
	Meta    map[string]string
	Target  string // the device it was placed on, such as "sim:0"; empty until placed
	Cause   string // why it was placed there
}

// Body is a graph-valued attribute of a node.
type Body struct {
	Attr  string // "body", "then_branch", "else_branch"
	Graph *Graph
	Outer []*Value // values of the enclosing graph, aligned with Graph.Captures
}

// New returns an empty graph.
func New(name string) *Graph { return &Graph{Name: name} }

// NumValues returns an upper bound of the IDs in use, for side tables.
func (g *Graph) NumValues() int { return g.values }

// NewValue makes a value that nothing defines yet.
func (g *Graph) NewValue(name string, t Type) *Value {
	v := &Value{ID: g.values, Name: name, Type: t}
	g.values++
	return v
}

// NewInput appends a graph input.
func (g *Graph) NewInput(name string, t Type) *Value {
	v := g.NewValue(name, t)
	g.Inputs = append(g.Inputs, v)
	return v
}

// NewConst makes a constant; the tensor must not be changed afterwards.
func (g *Graph) NewConst(name string, t *Tensor) *Value {
	v := g.NewValue(name, t.Type())
	v.Const = t
	return v
}

// NewNode makes a node with one output per name in outs and does not place it
// in the list; an empty name leaves the output out.
func (g *Graph) NewNode(domain, op string, version int, ins []*Value, outs ...string) *Node {
	n := &Node{Domain: domain, Op: op, Version: version, Inputs: ins}
	for i, name := range outs {
		if name == "" {
			n.Outputs = append(n.Outputs, nil)
			continue
		}
		v := g.NewValue(name, Type{})
		v.Def, v.Index = n, i
		n.Outputs = append(n.Outputs, v)
	}
	return n
}

// Append places nodes at the end of the list.
func (g *Graph) Append(nodes ...*Node) { g.Nodes = append(g.Nodes, nodes...) }

// ID names a node for messages: its label and operator.
func (n *Node) ID() string { return fmt.Sprintf("node %q (%s)", n.Label(), n.OpName()) }

// Label is a node's canonical path or the exporter's name, else its first output.
func (n *Node) Label() string {
	if name := cmp.Or(n.Path, n.Name); name != "" {
		return name
	}
	for _, v := range n.Outputs {
		if v != nil {
			return v.Name
		}
	}
	return ""
}

// OpName returns the operator with its domain, unless that is ai.onnx.
func (n *Node) OpName() string {
	if n.Domain == "" {
		return n.Op
	}
	return n.Domain + "." + n.Op
}

// Is reports whether the node is the named operator of ai.onnx.
func (n *Node) Is(op string) bool { return n != nil && n.Domain == "" && n.Op == op }

// IsCopy reports whether the node moves a value between spaces.
func (n *Node) IsCopy() bool { return n != nil && n.Domain == "mnnconv" && n.Op == "Copy" }

// In returns input i, or nil where it is absent.
func (n *Node) In(i int) *Value {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return nil
}

// Out returns output i, or nil where it is not wanted.
func (n *Node) Out(i int) *Value {
	if i < len(n.Outputs) {
		return n.Outputs[i]
	}
	return nil
}

// Reads calls f for every value the node reads, captured ones included; absent
// inputs are left out.
func (n *Node) Reads(f func(*Value)) {
	for _, v := range n.Inputs {
		if v != nil {
			f(v)
		}
	}
	for _, b := range n.Bodies {
		for _, v := range b.Outer {
			if v != nil {
				f(v)
			}
		}
	}
}

// Use is one place that reads a value: input Index of Node, or for Index < 0
// a capture of one of its bodies; Node is nil for a graph output.
type Use struct {
	Node  *Node
	Index int
}

// StateValues are the values that states are read as and handed back as.
func (g *Graph) StateValues() map[*Value]bool {
	out := make(map[*Value]bool, 2*len(g.States))
	for _, s := range g.States {
		out[s.In], out[s.Out] = true, true
	}
	return out
}

// Uses returns all readers of every value, in node order.
func (g *Graph) Uses() map[*Value][]Use {
	uses := make(map[*Value][]Use, g.values)
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			if v != nil {
				uses[v] = append(uses[v], Use{n, i})
			}
		}
		for _, b := range n.Bodies {
			for _, v := range b.Outer {
				uses[v] = append(uses[v], Use{n, -1})
			}
		}
	}
	for i, v := range g.Outputs {
		uses[v] = append(uses[v], Use{nil, i})
	}
	return uses
}

// Replace makes every reader of a key read its value instead; chains are
// followed. Definitions stay: RemoveDead drops what nobody reads any more.
func (g *Graph) Replace(with map[*Value]*Value) {
	if len(with) == 0 {
		return
	}
	final := func(v *Value) *Value {
		for range len(with) + 1 {
			w, ok := with[v]
			if !ok {
				return v
			}
			v = w
		}
		panic("graph: invariant: Replace with a cycle at " + v.Name)
	}
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			if v != nil {
				n.Inputs[i] = final(v)
			}
		}
		for _, b := range n.Bodies {
			for i, v := range b.Outer {
				b.Outer[i] = final(v)
			}
		}
	}
	for i, v := range g.Outputs {
		g.Outputs[i] = final(v)
	}
	for i, s := range g.States {
		g.States[i].Out = final(s.Out)
	}
}

// RemoveDead drops nodes none of whose outputs reach a graph output, and
// reports how many. Graph inputs stay, also unread ones. Every node in the IR is
// pure; state is written through values.
func (g *Graph) RemoveDead() int {
	live := make([]bool, g.values)
	for _, v := range g.Outputs {
		live[v.ID] = true
	}
	kept := make([]*Node, 0, len(g.Nodes))
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		wanted := false
		for _, v := range n.Outputs {
			wanted = wanted || v != nil && live[v.ID]
		}
		if !wanted {
			continue
		}
		n.Reads(func(v *Value) { live[v.ID] = true })
		kept = append(kept, n)
	}
	slices.Reverse(kept)
	removed := len(g.Nodes) - len(kept)
	g.Nodes = kept
	return removed
}

// Sort puts the nodes into topological order, keeping the given order where it
// is already legal. A cycle is an error that spells the path.
func (g *Graph) Sort() error {
	const (
		unseen = iota
		active
		done
	)
	state := make(map[*Node]int, len(g.Nodes))
	sorted := make([]*Node, 0, len(g.Nodes))
	type frame struct {
		n    *Node
		deps []*Node
	}
	for _, root := range g.Nodes {
		if state[root] != unseen {
			continue
		}
		stack := []frame{{root, root.deps()}}
		state[root] = active
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(top.deps) == 0 {
				state[top.n] = done
				sorted = append(sorted, top.n)
				stack = stack[:len(stack)-1]
				continue
			}
			d := top.deps[0]
			top.deps = top.deps[1:]
			switch state[d] {
			case unseen:
				state[d] = active
				stack = append(stack, frame{d, d.deps()})
			case active:
				path := d.ID()
				for i := len(stack) - 1; i >= 0; i-- {
					path = stack[i].n.ID() + " → " + path
					if stack[i].n == d {
						break
					}
				}
				return fmt.Errorf("%w: %s", ErrCycle, path)
			}
		}
	}
	g.Nodes = sorted
	return nil
}

func (n *Node) deps() []*Node {
	var deps []*Node
	n.Reads(func(v *Value) {
		if v.Def != nil {
			deps = append(deps, v.Def)
		}
	})
	return deps
}

// Clone returns a deep copy that shares constants' tensors and the values of
// attributes, and the map from old to new values of the outermost graph.
func (g *Graph) Clone() (*Graph, map[*Value]*Value) {
	c := *g
	m := make(map[*Value]*Value, g.values)
	get := func(v *Value) *Value {
		if v == nil {
			return nil
		}
		w, ok := m[v]
		if !ok {
			u := *v
			u.Type.Shape, u.Hints = slices.Clone(v.Type.Shape), slices.Clone(v.Hints)
			w = &u
			m[v] = w
		}
		return w
	}
	all := func(vs []*Value) []*Value {
		out := make([]*Value, len(vs))
		for i, v := range vs {
			out[i] = get(v)
		}
		return out
	}
	c.Inputs, c.Captures, c.Outputs = all(g.Inputs), all(g.Captures), all(g.Outputs)
	c.Meta = maps.Clone(g.Meta)
	c.States = make([]State, len(g.States))
	for i, s := range g.States {
		c.States[i] = State{get(s.In), get(s.Out)}
	}
	c.Nodes = make([]*Node, len(g.Nodes))
	for i, n := range g.Nodes {
		k := *n
		k.Inputs, k.Outputs = all(n.Inputs), all(n.Outputs)
		k.Attrs, k.Meta = slices.Clone(n.Attrs), maps.Clone(n.Meta)
		for _, v := range k.Outputs {
			if v != nil {
				v.Def = &k
			}
		}
		k.Bodies = make([]*Body, len(n.Bodies))
		for j, b := range n.Bodies {
			bg, _ := b.Graph.Clone()
			k.Bodies[j] = &Body{b.Attr, bg, all(b.Outer)}
		}
		c.Nodes[i] = &k
	}
	return &c, m
}
