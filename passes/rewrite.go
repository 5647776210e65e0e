package passes

import (
	"fmt"
	"maps"
	"slices"

	"mnnconv/graph"
)

// rewriter collects new nodes before the nodes they stand for, and puts them
// into the list at once.
type rewriter struct {
	c       *context
	before  map[*graph.Node][]*graph.Node
	removed map[*graph.Node]bool
	took    bool  // a node defines what an earlier one did: readers in between move behind it
	err     error // the first node that could not be typed
}

func (c *context) rewriter() *rewriter {
	return &rewriter{c: c, before: map[*graph.Node][]*graph.Node{}, removed: map[*graph.Node]bool{}}
}

// name returns base, numbered if it is taken.
func (c *context) name(base string) string {
	if c.names == nil {
		c.names = map[string]bool{}
		for _, v := range c.g.Inputs {
			c.names[v.Name] = true
		}
		for _, n := range c.g.Nodes {
			for _, v := range n.Outputs {
				if v != nil {
					c.names[v.Name] = true
				}
			}
			n.Reads(func(v *graph.Value) { c.names[v.Name] = true })
		}
	}
	name := base
	for i := 1; c.names[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	c.names[name] = true
	return name
}

type attrs map[string]any

// attrsOf are those of a node.
func attrsOf(n *graph.Node) attrs {
	out := attrs{}
	for _, a := range n.Attrs {
		out[a.Name] = a.Value
	}
	return out
}

// add makes a node of ai.onnx that stands before at and takes its provenance.
// Its outputs are named after at.
func (r *rewriter) add(at *graph.Node, opname string, a attrs, outs int, ins ...*graph.Value) *graph.Node {
	return r.addIn(at, "", opname, Opset, a, outs, ins...)
}

func (r *rewriter) addIn(at *graph.Node, domain, opname string, version int, a attrs, outs int, ins ...*graph.Value) *graph.Node {
	base := at.Name
	if base == "" && at.Out(0) != nil {
		base = at.Out(0).Name
	}
	names := make([]string, outs)
	for i := range names {
		names[i] = r.c.name(base + "." + opname)
	}
	n := r.c.g.NewNode(domain, opname, version, ins, names...)
	n.Name, n.Path, n.Meta = at.Name, at.Path, at.Meta
	for _, k := range slices.Sorted(maps.Keys(a)) {
		n.SetAttr(k, a[k])
	}
	r.before[at] = append(r.before[at], n)
	// Types of new values are inferred right away, so that the pass can go on from
	// them.
	if err := r.c.facts.Node(n); err != nil && r.err == nil {
		r.err = err
	}
	return n
}

// op1 adds a node with one output and returns the value.
func (r *rewriter) op1(at *graph.Node, opname string, a attrs, ins ...*graph.Value) *graph.Value {
	return r.add(at, opname, a, 1, ins...).Outputs[0]
}

// ints makes a constant vector.
func (r *rewriter) ints(v ...int64) *graph.Value {
	return r.c.g.NewConst(r.c.name("const"), graph.Ints(v))
}

// take lets node n define value v, which another node defined so far; readers of
// v stay as they are. A nil v is an output that nobody wants.
func (r *rewriter) take(n *graph.Node, i int, v *graph.Value) {
	if v == nil {
		return
	}
	if old := v.Def; old != nil {
		old.Outputs[v.Index] = nil
	}
	r.took = true
	v.Def, v.Index = n, i
	n.Outputs[i] = v
}

// remove drops a node from the list when the rewriter is applied.
func (r *rewriter) remove(n *graph.Node) { r.removed[n] = true }

// apply puts the collected nodes into the list.
func (r *rewriter) apply() error {
	if r.err != nil || len(r.before) == 0 && len(r.removed) == 0 {
		return r.err
	}
	nodes := make([]*graph.Node, 0, len(r.c.g.Nodes))
	for _, n := range r.c.g.Nodes {
		nodes = append(nodes, r.before[n]...)
		if !r.removed[n] {
			nodes = append(nodes, n)
		}
	}
	r.c.g.Nodes = nodes
	if r.took {
		if err := r.c.g.Sort(); err != nil {
			return err
		}
	}
	r.c.g.RemoveDead()
	return nil
}
