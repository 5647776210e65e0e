package passes

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// Apply has the nodes that a rule matches compute in its type of float: tensors of the
// type that they computed in become of the new one, and Casts stand where such a tensor
// comes in or goes out, and nowhere else. Constants are converted, or read through a
// Cast where kernels widen while they multiply. The graph's inputs and outputs keep
// their types, its states are of the type that their writer computes in. What nodes
// compute in another type than most of their stage, and what a narrower type is not fit
// for (angles and positions), stays as it is. The graph may be placed.
//
// It returns a line for each rule that changed something. A constant that the type
// cannot hold is an error that wraps ErrRange, at once or when it is written.
func (t *Types) Apply(g *graph.Graph, table op.Table) ([]string, error) {
	if t == nil || len(t.rules) == 0 {
		return nil, nil
	}
	c := &context{g: g, table: table, report: &Report{}, facts: op.NewFacts(table)}
	r := &retyper{c: c, rules: t.rules, of: map[*graph.Node]*stageType{}, fed: map[*graph.Value]bool{}, with: map[*graph.Value]*graph.Value{}, was: map[*graph.Value]graph.DType{}, as: map[castKey]*graph.Value{}, consts: map[constKey]*graph.Tensor{}}
	stages := r.stages(t)
	if len(stages) == 0 {
		return nil, nil
	}
	if err := r.run(); err != nil {
		return nil, err
	}
	var notes []string
	for _, s := range stages {
		notes = append(notes, fmt.Sprintf("%s computes in %s instead of %s: %d of its nodes", s.text, s.to, s.from, s.nodes))
	}
	return notes, nil
}

// stageType is what becomes of the nodes of one rule.
type stageType struct {
	text     string
	from, to graph.DType
	nodes    int // that compute in it now
}

// retyper goes through a graph once, in order, and writes its nodes anew.
type retyper struct {
	c      *context
	rules  []typeRule
	of     map[*graph.Node]*stageType
	fed    map[*graph.Value]bool         // those that are computed from numbers that come into their stage
	was    map[*graph.Value]graph.DType  // of values whose type was changed
	with   map[*graph.Value]*graph.Value // what readers of a value read instead
	as     map[castKey]*graph.Value
	consts map[constKey]*graph.Tensor
	nodes  []*graph.Node
}

type castKey struct {
	v  *graph.Value
	to graph.DType
}

type constKey struct {
	t  *graph.Tensor
	to graph.DType
}

// stages finds what each rule changes. A copy is of the stage whose value it copies,
// unless that is put out.
func (r *retyper) stages(t *Types) []*stageType {
	of := make([][]*graph.Node, len(t.rules))
	rules := map[*graph.Node]int{}
	for _, n := range r.c.g.Nodes {
		i := t.rule(n)
		if n.IsCopy() {
			var ok bool
			if i, ok = rules[n.Inputs[0].Def]; !ok || r.isEnd(n) {
				i = -1
			}
		}
		rules[n] = i
		if i >= 0 {
			of[i] = append(of[i], n)
			for j := range t.rules[i+1:] {
				later := &t.rules[i+1+j]
				later.late = later.late || later.match(n)
			}
		}
	}
	var out []*stageType
	for i, nodes := range of {
		from, to := TypeOf(nodes), t.rules[i].to
		t.rules[i].used = t.rules[i].used || from != graph.Undefined
		if from == graph.Undefined || from == to {
			continue
		}
		s := &stageType{text: t.rules[i].path, from: from, to: to}
		out = append(out, s)
		for _, n := range nodes {
			r.of[n] = s
		}
	}
	return out
}

// isEnd reports whether a node copies what is put out. In a plan the copied value has the
// output's name.
func (r *retyper) isEnd(n *graph.Node) bool {
	return n.IsCopy() && slices.Contains(r.c.g.Outputs, n.Outputs[0])
}

func (r *retyper) run() error {
	g := r.c.g
	states := map[*graph.Value]bool{}
	for _, s := range g.States {
		states[s.Out] = true
		if stage := r.of[s.Out.Def]; stage != nil && s.In.Type.DType == stage.from {
			r.was[s.In] = stage.from
			s.In.Type.DType = stage.to
		}
	}
	for _, n := range g.Nodes {
		if err := r.node(n); err != nil {
			return err
		}
	}
	for i, v := range g.Outputs {
		if d := r.typeBefore(v); d != v.Type.DType && !states[v] {
			y, err := r.cast(v, d, v.Def)
			if err != nil {
				return err
			}
			v.Name, y.Name = y.Name, v.Name // an output keeps its name
			g.Outputs[i] = y
		}
	}
	g.Nodes = r.nodes
	r.dropCasts()
	g.RemoveDead()
	if err := InferPlaced(g, r.c.table); err != nil {
		return err
	}
	return graph.Verify(g)
}

// typeBefore is the type of float that a value had.
func (r *retyper) typeBefore(v *graph.Value) graph.DType {
	if d, ok := r.was[v]; ok {
		return d
	}
	return v.Type.DType
}

// node gives a node inputs of the types that it wants, and its outputs theirs.
func (r *retyper) node(n *graph.Node) error {
	for i, v := range n.Inputs {
		if w := r.with[v]; w != nil {
			n.Inputs[i] = w
		}
	}
	s := r.of[n]
	if s != nil && !r.active(n, s) {
		s = nil
	}
	if s != nil && isStored(n, s) {
		return r.store(n, s)
	}
	before := slices.Clone(n.Inputs)
	for i, v := range n.Inputs {
		if v == nil || v.Type.Kind != graph.TensorKind {
			continue
		}
		want := r.typeBefore(v)
		if s != nil && want == s.from {
			want = s.to
		}
		if want == v.Type.DType {
			continue
		}
		x, err := r.input(n, i, want)
		if err != nil {
			return err
		}
		n.Inputs[i] = x
		if r.isEnd(n) {
			x.Name, v.Name = v.Name, x.Name
		}
	}
	if s == nil {
		r.nodes = append(r.nodes, n)
		return r.bodies(n)
	}
	types := make([]graph.DType, len(n.Outputs))
	for i, v := range n.Outputs {
		if v != nil {
			types[i] = v.Type.DType
		}
	}
	attrs := slices.Clone(n.Attrs)
	setTypes(n, s)
	if err := r.c.facts.Node(n); err != nil { // there is no such form of the operator: it stays as it was
		delete(r.of, n)
		n.Inputs, n.Attrs = before, attrs
		return r.node(n)
	}
	r.nodes = append(r.nodes, n)
	changed := false
	for i, v := range n.Outputs {
		if v != nil && v.Type.Kind == graph.TensorKind && v.Type.DType != types[i] {
			r.was[v], changed = types[i], true
		}
	}
	if changed {
		s.nodes++
	}
	return nil
}

// active tells whether a node of a stage computes in its new type: it reads or makes
// numbers of the old one and, where the new one is narrower, what it computes is of
// the stage's inputs, and not of positions alone.
func (r *retyper) active(n *graph.Node, s *stageType) bool {
	has, fed := false, IsLookup(n)
	for _, v := range n.Inputs {
		if v == nil || v.Const != nil || v.Type.Kind != graph.TensorKind || !computes(v.Type.DType) {
			continue
		}
		has = has || r.typeBefore(v) == s.from
		fed = fed || r.fed[v] || r.of[v.Def] != s
	}
	for _, v := range n.Outputs {
		if v != nil {
			has = has || v.Type.Kind == graph.TensorKind && v.Type.DType == s.from
			r.fed[v] = fed
		}
	}
	narrower := s.to.Bits() < s.from.Bits()
	switch {
	case len(n.Bodies) > 0 || n.Is("DynamicQuantizeLinear") || n.Is("Resize"): // they take what they take
		return false
	case narrower && (n.Is("Cos") || n.Is("Sin")):
		return false
	case !narrower && n.Is("Gather") && IsLookup(n): // of a table, only the rows looked up are converted
		return false
	}
	return has && (fed || !narrower || isStored(n, s))
}

// isStored reports whether a node widens a weight that is stored in 16 bits.
func isStored(n *graph.Node, s *stageType) bool {
	w := n.In(0)
	return n.Is("Cast") && w.Const != nil && computes(w.Const.DType) && w.Const.DType.Bits() == 16 && n.Outputs[0].Type.DType == s.from && s.to.Bits() == 16
}

// store has the readers of a weight that was widened read it in the stage's type.
func (r *retyper) store(n *graph.Node, s *stageType) error {
	w, out := n.Inputs[0], n.Outputs[0]
	t, err := r.constant(w, s.to)
	if err != nil {
		return fmt.Errorf("%s: %w", n.ID(), err)
	}
	v := r.c.g.NewConst(r.c.name(w.Name+"."+s.to.String()), t)
	v.From = w.From
	r.was[v], r.with[out] = s.from, v
	return nil
}

// setTypes changes attributes that name the type of what a node makes.
func setTypes(n *graph.Node, s *stageType) {
	for i, a := range n.Attrs {
		switch a.Name {
		case "to", "dtype", "output_dtype":
			if d, ok := a.Value.(int64); ok && graph.DType(d) == s.from {
				n.Attrs[i].Value = int64(s.to)
			}
		}
	}
}

// input returns input i of a node in another type: a constant converted, or a Cast.
func (r *retyper) input(n *graph.Node, i int, to graph.DType) (*graph.Value, error) {
	v := n.Inputs[i]
	if v.Const == nil {
		return r.cast(v, to, n)
	}
	if _, ok := r.was[v]; ok { // of [retyper.store]
		return r.newCast(v, to, n)
	}
	if to == graph.Float32 && widened(n, i) {
		return r.newCast(v, to, n)
	}
	t, err := r.constant(v, to)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.ID(), err)
	}
	key := castKey{v, to}
	if r.as[key] == nil {
		r.as[key] = r.c.g.NewConst(r.c.name(v.Name+"."+to.String()), t)
		r.as[key].From = v.From
	}
	return r.as[key], nil
}

// widened reports whether kernels read input i of a node behind a Cast to float32 as it
// is stored.
func widened(n *graph.Node, i int) bool {
	switch n.Op {
	case "MatMul", "Gemm", "FusedMatMul":
		return i == 1
	case "Transpose":
		return len(n.Inputs[0].Type.Shape) == 2
	case "MatMulNBits", "GatherBlockQuantized":
		return n.Domain == op.Microsoft && i == 2
	}
	return false
}

// cast returns a value in another type, before a node that reads it or behind the last.
func (r *retyper) cast(v *graph.Value, to graph.DType, reader *graph.Node) (*graph.Value, error) {
	key := castKey{v, to}
	if x := r.as[key]; x != nil {
		return x, nil
	}
	at := reader
	if v.Def != nil && !v.Def.IsCopy() && to.Bits() < v.Type.DType.Bits() { // narrowed where it is made, widened where it is read: less is copied
		at = v.Def
	}
	x, err := r.newCast(v, to, at)
	r.as[key] = x
	return x, err
}

// newCast makes a Cast of a node's provenance at the end of the list.
func (r *retyper) newCast(v *graph.Value, to graph.DType, at *graph.Node) (*graph.Value, error) {
	n := r.c.g.NewNode("", "Cast", Opset, []*graph.Value{v}, r.c.name(v.Name+"."+to.String()))
	n.SetAttr("to", int64(to))
	n.Name, n.Path, n.Meta = at.Name, at.Path, at.Meta
	if n.Target, n.Cause = at.Target, at.Cause; n.Target != "" && v.Type.Space != "" {
		n.Target = string(v.Type.Space)
	}
	if err := r.c.facts.Node(n); err != nil {
		return nil, err
	}
	n.Outputs[0].Type.Space = v.Type.Space
	r.nodes = append(r.nodes, n)
	return n.Outputs[0], nil
}

// bodies gives the graphs within a node what they captured in the types that it had.
func (r *retyper) bodies(n *graph.Node) error {
	for _, b := range n.Bodies {
		for i, v := range b.Outer {
			if v == nil || v.Type.Kind != graph.TensorKind || r.typeBefore(v) == v.Type.DType {
				continue
			}
			last := r.nodes[len(r.nodes)-1]
			r.nodes = r.nodes[:len(r.nodes)-1]
			x, err := r.cast(v, r.typeBefore(v), n)
			if err != nil {
				return err
			}
			b.Outer[i], r.nodes = x, append(r.nodes, last)
		}
	}
	return nil
}

// dropCasts takes away Casts to the type that their input has.
func (r *retyper) dropCasts() {
	g := r.c.g
	with := map[*graph.Value]*graph.Value{}
	for _, n := range g.Nodes {
		if r.isEnd(n) && with[n.Inputs[0]] != nil {
			v, x := n.Inputs[0], with[n.Inputs[0]]
			v.Name, x.Name = x.Name, v.Name
		}
		if n.Is("Cast") && n.Inputs[0].Type.Kind == graph.TensorKind && n.Inputs[0].Type.DType == n.Outputs[0].Type.DType && !slices.Contains(g.Outputs, n.Outputs[0]) {
			with[n.Outputs[0]] = n.Inputs[0]
		}
	}
	g.Replace(with)
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *graph.Node) bool { return with[n.Out(0)] != nil })
}
