package partition

import (
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
)

// Contracts derives the contract of every boundary tensor from plans in the order
// in which they run. What a phase puts out and a later one takes under the same
// name is a link between the two.
func Contracts(plans []*Plan, terms Terms) *ContractSet {
	set := &ContractSet{SchemaVersion: 1, Symbols: []Symbol{}, Contracts: []Contract{}}
	made := map[string]*maker{} // an earlier phase's outputs, by name
	for _, p := range plans {
		b := newBoundaries(p, terms)
		set.Symbols = append(set.Symbols, b.symbols...)
		b.walk(made)
		set.Contracts = append(set.Contracts, b.contracts...)
		for _, v := range p.Graph.Outputs {
			made[Source(v).Name] = &maker{b, v}
		}
	}
	return set
}

// maker is a value and the phase that makes it.
type maker struct {
	b *boundaries
	v *graph.Value
}

// boundaries finds the boundary tensors of one plan.
type boundaries struct {
	plan      *Plan
	terms     Terms
	uses      map[*graph.Value][]graph.Use
	part      map[*graph.Node]*Partition
	state     map[*graph.Value]bool
	symbols   []Symbol
	contracts []Contract
}

func newBoundaries(p *Plan, terms Terms) *boundaries {
	b := &boundaries{plan: p, terms: terms, uses: p.Graph.Uses(), part: map[*graph.Node]*Partition{}, state: p.Graph.StateValues()}
	for _, part := range p.Partitions() {
		for _, n := range part.Nodes {
			b.part[n] = part
		}
	}
	seen := map[string]bool{}
	for _, v := range p.Graph.Inputs {
		for axis, d := range v.Type.Shape {
			name, _, _, ok := d.Linear()
			if !ok || seen[name] {
				continue
			}
			seen[name] = true
			b.symbols = append(b.symbols, Symbol{p.Phase, name, terms.Bounds[p.Phase][name], fmt.Sprintf("extent %d of input %q, %s", axis, v.Name, d)})
		}
	}
	return b
}

// Source is the value that copies carry: v itself where no copy made it.
func Source(v *graph.Value) *graph.Value {
	for v.Def.IsCopy() && len(v.Def.Inputs) == 1 && v.Def.Inputs[0] != nil {
		v = v.Def.Inputs[0]
	}
	return v
}

// walk lists the boundary tensors: what comes in, in order, then what crosses, in
// the order of the plan's steps, then what goes out.
func (b *boundaries) walk(made map[string]*maker) {
	g := b.plan.Graph
	for _, v := range g.Inputs {
		if b.state[v] {
			continue
		}
		to := b.firstReader(v)
		if m := made[v.Name]; m != nil {
			b.add(LinkEdge, m.b, m.v, v, to)
		} else if to != nil && !to.IsCopy() {
			b.add(InputEdge, b, v, v, to)
		}
	}
	for _, s := range b.plan.Steps {
		if s.Copy != nil {
			from, to := s.Copy.Inputs[0], s.Copy.Outputs[0]
			b.add(CopyEdge, b, from, to, b.firstReader(to))
			continue
		}
		for _, n := range s.Partition.Nodes {
			for _, v := range n.Outputs {
				if v == nil || b.state[v] {
					continue
				}
				if to := b.passedTo(n, v); to != nil {
					b.add(PassEdge, b, v, v, to)
				}
			}
		}
	}
	for _, v := range g.Outputs {
		if !b.state[v] && v.Const == nil && !v.Def.IsCopy() {
			b.add(OutputEdge, b, v, v, nil)
		}
	}
}

// firstReader is the first node that reads a value, copies last; nil: none.
func (b *boundaries) firstReader(v *graph.Value) *graph.Node {
	var copied *graph.Node
	for _, u := range b.uses[v] {
		if u.Node != nil && !u.Node.IsCopy() {
			return u.Node
		}
		if copied == nil {
			copied = u.Node
		}
	}
	return copied
}

// passedTo is the first reader of v in another stage or partition of one space.
func (b *boundaries) passedTo(n *graph.Node, v *graph.Value) *graph.Node {
	for _, u := range b.uses[v] {
		if u.Node == nil || u.Node.IsCopy() {
			continue
		}
		if b.part[u.Node] != b.part[n] || stageOf(u.Node) != stageOf(n) && stageOf(u.Node) != "" && stageOf(n) != "" {
			return u.Node
		}
	}
	return nil
}

// stageOf is the first part of a node's canonical path.
func stageOf(n *graph.Node) string {
	stage, _, _ := strings.Cut(n.Path, ".")
	return stage
}

// side describes one side of a boundary: the node that makes or reads a value;
// nil stands for the caller.
func (b *boundaries) side(v *graph.Value, n *graph.Node) Side {
	s := Side{Phase: b.plan.Phase, Value: v.Name, Exporter: v.From, Partition: -1, Space: string(v.Type.Space)}
	t := v.Type
	t.Space = ""
	s.Type = t.String()
	if n == nil {
		return s
	}
	s.Stage = stageOf(n)
	s.File = b.terms.Files[s.Stage]
	if part := b.part[n]; part != nil {
		s.Partition = part.Index
	}
	return s
}

// add writes the contract between from, of phase maker, and to, which reader reads.
func (b *boundaries) add(edge Edge, maker *boundaries, from, to *graph.Value, reader *graph.Node) {
	root := Source(from)
	if reader.IsCopy() { // on to another space: the copy has a contract of its own
		reader = nil
	}
	c := Contract{Edge: edge, Phase: b.plan.Phase, Value: root.Name, From: maker.side(from, root.Def), To: b.side(to, reader),
		DType: to.Type.DType.String(), Rank: -1, Shape: []ShapeExtent{}, Layout: "row-major", Strides: []string{}, Quantisation: "none",
		Relations: []Relation{}, Tolerance: ToleranceOf(to.Type.DType), from: from, to: to}
	bounds := b.terms.Bounds[b.plan.Phase]
	if to.Type.Kind == graph.TensorKind && to.Type.Shape.Ranked() {
		c.Rank = len(to.Type.Shape)
		stride := graph.Const(1)
		for _, d := range slices.Backward(to.Type.Shape) {
			c.Strides = append(c.Strides, stride.String())
			stride = stride.Mul(d)
		}
		slices.Reverse(c.Strides)
		for _, d := range to.Type.Shape {
			e := ShapeExtent{Dim: d.String()}
			e.Most, _ = d.Eval(bounds)
			c.Shape = append(c.Shape, e)
		}
		c.Bytes = BytesOf(to.Type).String()
		c.MostBytes, _ = SizeOf(to.Type, bounds)
	}
	c.Align = b.plan.Align(graph.Space(c.To.Space))
	c.Largest = smaller(maker.plan.largest(graph.Space(c.From.Space)), b.plan.largest(graph.Space(c.To.Space)))
	for _, r := range b.terms.Relations {
		if r.Phase == b.plan.Phase && r.Value == root.Name || r.Phase == maker.plan.Phase && r.Value == root.Name && edge == LinkEdge {
			c.Relations = append(c.Relations, r)
		}
	}
	if from.Type.DType.IsFloat() {
		r := Relation{Phase: c.Phase, Value: root.Name, Kind: Finite, Text: "finite", Source: "every float that crosses"}
		if a, z := from.Type.DType.Largest(), to.Type.DType.Largest(); z > 0 && z < a {
			r = Relation{Phase: c.Phase, Value: root.Name, Kind: Magnitude, High: graph.Const(int64(min(z, 1<<62))),
				Text: "within the range of " + to.Type.DType.String(), Source: "the reader's dtype"}
		}
		c.Relations = append(c.Relations, r)
	}
	for _, r := range indexRelations(c.Phase, root, to, b.uses) {
		if !slices.ContainsFunc(c.Relations, func(o Relation) bool { return o.Kind == r.Kind && o.Text == r.Text }) {
			c.Relations = append(c.Relations, r)
		}
	}
	for _, o := range b.terms.Orders {
		if (o.Phase == b.plan.Phase || o.Phase == maker.plan.Phase) && o.Value == root.Name {
			c.Order = &o
		}
	}
	b.lifetime(&c)
	b.contracts = append(b.contracts, c)
}

// lifetime says who owns the tensor, who reads it last, and when its memory is
// free again.
func (b *boundaries) lifetime(c *Contract) {
	c.Owner = c.From.String()
	if c.Edge == CopyEdge {
		c.Owner = "the copy to " + c.To.Space
	}
	last := -1
	for _, u := range b.uses[c.to] {
		if p := b.part[u.Node]; p != nil && p.Index > last {
			last = p.Index
		}
		if u.Node == nil {
			c.LastReader, c.Release = "the caller", "when a phase of the session runs again"
		}
	}
	if c.LastReader == "" && last >= 0 {
		c.LastReader = fmt.Sprintf("%s partition %d", c.To.Phase, last)
		c.Release = "after its last reader"
	}
	if c.LastReader == "" {
		c.LastReader, c.Release = "copies to other spaces", "after the last of them"
	}
}

// BytesOf is the size of a tensor type as a formula over its symbols.
func BytesOf(t graph.Type) graph.Dim {
	return t.Shape.Elements().Mul(graph.Const(int64(t.DType.Bits()))).Div(graph.Const(8))
}

// largest is the largest single allocation of a space, in bytes; 0: not known.
func (p *Plan) largest(space graph.Space) int64 {
	for _, t := range p.targets {
		if t.Profile.Space() == space {
			if t.Profile.MaxAlloc > 0 {
				return t.Profile.MaxAlloc
			}
			return t.Profile.Memory
		}
	}
	return 0
}

// smaller is the smaller of two limits of which 0 is none.
func smaller(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
