package partition

import (
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
)

// ErrContract: what one side of a boundary gives is not what the other takes. It
// is a type error with both sides named.
var ErrContract = fmt.Errorf("contract violated: %w", graph.ErrType)

// Terms are what a model knows of its boundaries beyond its graphs. All of it is
// optional.
type Terms struct {
	Bounds    map[string]graph.Env // by phase: the largest value of each symbol
	Relations []Relation
	Orders    []Order
	Files     map[string]string // by stage: the file it was read from
	// Picture and Token give the symbols of each phase their values for one picture
	// of the largest size that the model lets through, and for one decoded token.
	Picture, Token map[string]graph.Env
}

// Order says how the rows of a value are ordered, and where that comes from.
type Order struct {
	Phase  string `json:"phase"`
	Value  string `json:"value"`
	Text   string `json:"text"`
	Source string `json:"source"`
}

// ContractSet is contract.json: the contract of every boundary tensor of a model,
// in the order in which the phases run.
type ContractSet struct {
	SchemaVersion int        `json:"schema_version"`
	Symbols       []Symbol   `json:"symbols"`
	Contracts     []Contract `json:"contracts"`
}

// Symbol is an extent that a run decides.
type Symbol struct {
	Phase  string `json:"phase"`
	Name   string `json:"name"`
	Most   int64  `json:"most,omitempty"` // 0: not bounded
	Origin string `json:"origin"`         // which input gives it its value
}

// Edge says what kind of boundary a tensor crosses.
type Edge string

// The kinds of boundaries.
const (
	InputEdge  Edge = "input"  // from the caller on the host
	OutputEdge Edge = "output" // to the caller on the host
	LinkEdge   Edge = "link"   // from one phase to a later one, through the host
	CopyEdge   Edge = "copy"   // from one space to another
	PassEdge   Edge = "pass"   // between stages or partitions, in one space
)

// Contract is what both sides of a boundary agree on for one tensor.
type Contract struct {
	Edge         Edge          `json:"edge"`
	Phase        string        `json:"phase"`
	Value        string        `json:"value"` // canonical name
	From         Side          `json:"from"`
	To           Side          `json:"to"`
	DType        string        `json:"dtype"`
	Rank         int           `json:"rank"` // -1: only running tells
	Shape        []ShapeExtent `json:"shape"`
	Layout       string        `json:"layout"`
	Strides      []string      `json:"strides"`      // in elements
	Align        int64         `json:"align"`        // bytes, in the target space
	Quantisation string        `json:"quantisation"` // of the tensor itself; weights are no boundary tensors
	Bytes        string        `json:"bytes"`        // a formula over the symbols
	MostBytes    int64         `json:"most_bytes,omitempty"`
	Largest      int64         `json:"largest_allocation,omitempty"` // bytes, the smaller of both sides; 0: not known
	Relations    []Relation    `json:"relations"`
	Order        *Order        `json:"order,omitempty"`
	Owner        string        `json:"owner"`
	LastReader   string        `json:"last_reader"`
	Release      string        `json:"release"`
	Tolerance    Tolerance     `json:"tolerance"`
	Violations   []string      `json:"violations,omitempty"`

	from, to *graph.Value // what the sides hold
}

// Side is one side of a boundary.
type Side struct {
	Phase     string `json:"phase"`
	Stage     string `json:"stage,omitempty"`
	File      string `json:"file,omitempty"`
	Value     string `json:"value"`              // the name in the phase's graph
	Exporter  string `json:"exporter,omitempty"` // the exporter's name, where it is another
	Partition int    `json:"partition"`          // -1: the caller
	Space     string `json:"space"`
	Type      string `json:"type"`
}

// String names a side for messages: "encode partition 0 on sim:0 (vision, FILE)".
func (s Side) String() string {
	text := s.Phase + " caller on " + s.Space
	if s.Partition >= 0 {
		text = fmt.Sprintf("%s partition %d on %s", s.Phase, s.Partition, s.Space)
	}
	var of []string
	for _, x := range []string{s.Stage, s.File} {
		if x != "" {
			of = append(of, x)
		}
	}
	if len(of) > 0 {
		text += " (" + strings.Join(of, ", ") + ")"
	}
	return text
}

// ShapeExtent is one extent of a boundary tensor.
type ShapeExtent struct {
	Dim  string `json:"dim"`            // a formula over the symbols
	Most int64  `json:"most,omitempty"` // at the bounds; 0: not bounded
}

// Tolerance is how far results on two devices may lie apart: |a-b| ≤ Absolute +
// Relative·|b|. The values are ONNX Runtime's own for its tests (microsoft/
// onnxruntime#19792 and #19947); integers and copies are exact.
type Tolerance struct {
	Absolute float64 `json:"absolute"`
	Relative float64 `json:"relative"`
}

func toleranceOf(d graph.DType) Tolerance {
	switch d {
	case graph.Float64:
		return Tolerance{1e-5, 1e-5}
	case graph.Float32:
		return Tolerance{1e-5, 1e-4}
	case graph.Float16:
		return Tolerance{0.0025, 0.001}
	case graph.BFloat16:
		return Tolerance{0.02, 0.01}
	}
	return Tolerance{}
}

// Name is how messages call the boundary: "extend: image_rows, cpu → sim:1".
func (c *Contract) Name() string {
	switch {
	case c.Edge == InputEdge:
		return fmt.Sprintf("%s: %s, caller → %s", c.Phase, c.Value, c.To.Space)
	case c.Edge == OutputEdge:
		return fmt.Sprintf("%s: %s, %s → caller", c.Phase, c.Value, c.From.Space)
	case c.From.Phase != c.To.Phase:
		return fmt.Sprintf("%s → %s: %s, %s → %s", c.From.Phase, c.To.Phase, c.Value, c.From.Space, c.To.Space)
	}
	return fmt.Sprintf("%s: %s, %s → %s", c.Phase, c.Value, c.From.Space, c.To.Space)
}

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
			made[source(v).Name] = &maker{b, v}
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
	b := &boundaries{plan: p, terms: terms, uses: p.Graph.Uses(), part: map[*graph.Node]*Partition{}, state: map[*graph.Value]bool{}}
	for _, part := range p.Partitions() {
		for _, n := range part.Nodes {
			b.part[n] = part
		}
	}
	for _, s := range p.Graph.States {
		b.state[s.In], b.state[s.Out] = true, true
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

// source is the value that copies carry.
func source(v *graph.Value) *graph.Value {
	for v.Def != nil && isCopy(v.Def) && len(v.Def.Inputs) == 1 && v.Def.Inputs[0] != nil {
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
		} else if to != nil && !isCopy(to) {
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
		if !b.state[v] && v.Const == nil && (v.Def == nil || !isCopy(v.Def)) {
			b.add(OutputEdge, b, v, v, nil)
		}
	}
}

// firstReader is the first node that reads a value, copies last; nil: none.
func (b *boundaries) firstReader(v *graph.Value) *graph.Node {
	var copied *graph.Node
	for _, u := range b.uses[v] {
		if u.Node != nil && !isCopy(u.Node) {
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
		if u.Node == nil || isCopy(u.Node) {
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
	root := source(from)
	if reader != nil && isCopy(reader) { // on to another space: the copy has a contract of its own
		reader = nil
	}
	c := Contract{Edge: edge, Phase: b.plan.Phase, Value: root.Name, From: maker.side(from, root.Def), To: b.side(to, reader),
		DType: to.Type.DType.String(), Rank: -1, Shape: []ShapeExtent{}, Layout: "row-major", Strides: []string{}, Quantisation: "none",
		Relations: []Relation{}, Tolerance: toleranceOf(to.Type.DType), from: from, to: to}
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
	c.Align = b.plan.align(graph.Space(c.To.Space))
	c.Largest = smaller(maker.plan.largest(graph.Space(c.From.Space)), b.plan.largest(graph.Space(c.To.Space)))
	for _, r := range b.terms.Relations {
		if r.Phase == b.plan.Phase && r.Value == root.Name || r.Phase == maker.plan.Phase && r.Value == root.Name && edge == LinkEdge {
			c.Relations = append(c.Relations, r)
		}
	}
	if from.Type.DType.IsFloat() {
		r := Relation{Phase: c.Phase, Value: root.Name, Kind: Finite, Text: "finite", Source: "every float that crosses"}
		if a, z := maxFloat(from.Type.DType), maxFloat(to.Type.DType); z > 0 && z < a {
			r = Relation{Phase: c.Phase, Value: root.Name, Kind: Magnitude, High: graph.Const(int64(min(z, 1<<62))),
				Text: "within the range of " + to.Type.DType.String(), Source: "the reader's dtype"}
		}
		c.Relations = append(c.Relations, r)
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
