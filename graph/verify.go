package graph

import (
	"errors"
	"fmt"
	"slices"
)

// MaxDepth is how deep bodies may be nested, the outermost graph counted.
const MaxDepth = 32

// Verify checks the rules of the IR and changes nothing. It runs after every
// stage, and again before a graph is executed. It returns all violations
// joined, each wrapping ErrInvalid or ErrType and naming the node and the value:
//
//   - every value is an input, a capture, a constant or the output of an earlier
//     node, and is defined once, with Def and Index pointing back at the place;
//   - IDs are unique and below NumValues, names unique and not empty;
//   - bodies keep the same rules, their Captures aligned with Outer, their Outer
//     values readable where the node stands, at most MaxDepth deep;
//   - tensors have a dtype and no negative extents, constants the type and size
//     of their tensor. Until the graph is placed, the types of nodes' outputs and
//     inside bodies may be wholly unknown: inference has not run yet;
//   - a state reads one input and writes one output of equal type, which no other
//     state uses;
//   - once any value has a space the graph counts as placed: graph inputs and
//     outputs live in Host (those of a body in the space of its node), except that
//     the two of a state share any one space; each node reads and writes only
//     values in the space that its Target names; only mnnconv.Copy, with one input
//     and one output of equal type, crosses from one space to another. Constants
//     are uploaded where they are read and belong to no space. A body of which no
//     value has a space runs where its node does.
func Verify(g *Graph) error {
	if g == nil {
		return fmt.Errorf("%w: there is none", ErrInvalid)
	}
	c := &verifier{graphs: map[*Graph]bool{}}
	c.graph(g, &scope{verifier: c, home: Host, depth: 1})
	return errors.Join(c.errs...)
}

type verifier struct {
	errs   []error
	graphs map[*Graph]bool
}

// scope is the verification of one graph.
type scope struct {
	*verifier
	g       *Graph
	where   string          // "" or the path of nodes and bodies, ending in ": "
	home    Space           // where inputs and outputs live
	spare   map[*Value]bool // captures of constants, which belong to no space
	kept    map[*Value]bool // the inputs and outputs of states
	placed  bool
	depth   int
	pos     map[*Node]int
	defined map[*Value]bool
	seen    map[*Value]bool
	ids     map[int]*Value
	names   map[string]*Value
}

func (c *verifier) graph(g *Graph, s *scope) {
	c.graphs[g] = true
	s.g, s.placed = g, isPlaced(g)
	s.pos = make(map[*Node]int, len(g.Nodes))
	s.defined = make(map[*Value]bool, g.values)
	s.seen = make(map[*Value]bool, g.values)
	s.kept = make(map[*Value]bool, 2*len(g.States))
	s.ids = make(map[int]*Value, g.values)
	s.names = make(map[string]*Value, g.values)
	if s.placed && s.home == "" {
		s.invalid("graph %q is placed, the graph around it is not", g.Name)
	}
	for i, n := range g.Nodes {
		if n == nil {
			s.invalid("node %d of the list is nil", i)
			return
		}
		if first, twice := s.pos[n]; twice {
			s.invalid("%s is in the list twice, at %d and %d", n.ID(), first, i)
			return
		}
		s.pos[n] = i
	}
	s.states()
	s.entries("input", g.Inputs)
	s.entries("capture", g.Captures)
	for _, n := range g.Nodes {
		s.node(n)
	}
	for i, v := range g.Outputs {
		if v == nil {
			s.invalid("graph output %d is nil", i)
			continue
		}
		s.read(fmt.Sprintf("graph output %d", i), v)
		s.lives("output", v)
	}
}

// isPlaced reports whether any value of the graph itself has a space.
func isPlaced(g *Graph) bool {
	has := func(vs []*Value) bool {
		for _, v := range vs {
			if v != nil && v.Const == nil && v.Type.Space != "" {
				return true
			}
		}
		return false
	}
	if has(g.Inputs) || has(g.Captures) || has(g.Outputs) {
		return true
	}
	for _, n := range g.Nodes {
		if n != nil && (has(n.Inputs) || has(n.Outputs)) {
			return true
		}
	}
	return false
}

func (s *scope) report(sentinel error, format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf("%w: %s%s", sentinel, s.where, fmt.Sprintf(format, args...)))
}

func (s *scope) invalid(format string, args ...any) { s.report(ErrInvalid, format, args...) }
func (s *scope) badType(format string, args ...any) { s.report(ErrType, format, args...) }

// states checks that each state ties an input to an output of its own.
func (s *scope) states() {
	for i, st := range s.g.States {
		if st.In == nil || st.Out == nil || !slices.Contains(s.g.Inputs, st.In) || !slices.Contains(s.g.Outputs, st.Out) {
			s.invalid("state %d does not tie a graph input to a graph output", i)
			continue
		}
		if s.kept[st.In] || s.kept[st.Out] {
			s.invalid("state %d (%q to %q) shares a value with another state", i, st.In.Name, st.Out.Name)
		}
		s.kept[st.In], s.kept[st.Out] = true, true
		in, out := st.In.Type, st.Out.Type
		if in.Space != out.Space {
			s.invalid("state %q lives in %s, its new content %q in %s", st.In.Name, spaceName(in.Space), st.Out.Name, spaceName(out.Space))
		}
		if !unknown(out) && !sameData(in, out) {
			s.badType("state %q is %s, its new content %q is %s", st.In.Name, in, st.Out.Name, out)
		}
	}
}

// sameData reports whether two types are provably equal but for the space.
func sameData(a, b Type) bool {
	return a.Kind == b.Kind && a.DType == b.DType && a.Shape.Equal(b.Shape)
}

// entries checks and defines the graph's inputs or captures.
func (s *scope) entries(kind string, vs []*Value) {
	for i, v := range vs {
		if v == nil {
			s.invalid("graph %s %d is nil", kind, i)
			continue
		}
		s.value(v)
		if v.Def != nil {
			s.invalid("graph %s %q is also an output of %s", kind, v.Name, v.Def.ID())
		}
		// Inference makes a capture of a constant a constant; an input never is one.
		if v.Const != nil && kind == "input" {
			s.invalid("graph input %q is also a constant", v.Name)
		}
		s.define("graph "+kind, v)
		s.lives(kind, v)
	}
}

// lives checks the space of a graph input, capture or output.
func (s *scope) lives(kind string, v *Value) {
	if !s.placed || s.home == "" || s.kept[v] || s.anywhere(v) || v.Type.Space == s.home {
		return
	}
	s.invalid("graph %s %q lives in %s, where %s is needed: a Copy is missing", kind, v.Name, spaceName(v.Type.Space), s.home)
}

// anywhere reports whether v is a constant, here or in the graph around.
func (s *scope) anywhere(v *Value) bool { return v.Const != nil || s.spare[v] }

func (s *scope) define(by string, v *Value) {
	if s.defined[v] {
		s.invalid("%s defines value %q, which is defined already", by, v.Name)
	}
	s.defined[v] = true
}

// read checks that v can be read at this place.
func (s *scope) read(by string, v *Value) {
	s.value(v)
	switch {
	case s.defined[v]:
	case v.Def == nil && v.Const != nil:
	case v.Def == nil:
		s.invalid("%s reads value %q, which nothing defines", by, v.Name)
	default:
		if _, ok := s.pos[v.Def]; ok {
			s.invalid("%s reads value %q before %s defines it", by, v.Name, v.Def.ID())
		} else {
			s.invalid("%s reads value %q of %s, which is not in the graph", by, v.Name, v.Def.ID())
		}
	}
}

// value checks what holds for a value wherever it stands, once.
func (s *scope) value(v *Value) {
	if s.seen[v] {
		return
	}
	s.seen[v] = true
	if v.ID < 0 || v.ID >= s.g.values {
		s.invalid("value %q has ID %d, outside of the graph's %d", v.Name, v.ID, s.g.values)
	} else if w := s.ids[v.ID]; w != nil {
		s.invalid("values %q and %q share ID %d", w.Name, v.Name, v.ID)
	} else {
		s.ids[v.ID] = v
	}
	if v.Name == "" {
		s.invalid("value %d has no name", v.ID)
	} else if w := s.names[v.Name]; w != nil {
		s.invalid("values %d and %d share the name %q", w.ID, v.ID, v.Name)
	} else {
		s.names[v.Name] = v
	}
	if v.Const != nil {
		if v.Def != nil {
			s.invalid("constant %q is also an output of %s", v.Name, v.Def.ID())
		}
		s.constant(v)
	}
	if s.placed || v.Const != nil || v.Def == nil && s.depth == 1 || !unknown(v.Type) {
		s.typ(v, v.Type)
	}
}

// unknown reports whether nothing is known of a type yet.
func unknown(t Type) bool {
	return t.Kind == TensorKind && t.DType == Undefined && !t.Shape.Ranked()
}

// typ checks a type by itself, containers down to their tensors.
func (s *scope) typ(v *Value, t Type) {
	for range MaxDepth {
		if t.Kind == TensorKind {
			if !t.DType.Valid() {
				s.badType("value %q is a tensor of dtype %s", v.Name, t.DType)
			}
			for _, d := range t.Shape {
				if n, ok := d.Int(); ok && n < 0 {
					s.badType("value %q has shape %s with a negative extent", v.Name, t.Shape)
					break
				}
			}
			return
		}
		if t.Kind > OptionalKind {
			s.badType("value %q has unknown kind %d", v.Name, t.Kind)
			return
		}
		if t.Elem == nil {
			return
		}
		t = *t.Elem
	}
	s.badType("value %q has containers nested more than %d deep", v.Name, MaxDepth)
}

func (s *scope) constant(v *Value) {
	c := v.Const
	if c.Kind != v.Type.Kind {
		s.badType("constant %q is declared %s, its data is %s", v.Name, v.Type, c.Type())
		return
	}
	if c.Kind != TensorKind {
		return
	}
	if t := c.Type(); t.DType != v.Type.DType || !t.Shape.Equal(v.Type.Shape) {
		s.badType("constant %q is declared %s, its data is %s", v.Name, v.Type, t)
	}
	n, whole := c.elements()
	size, ok := c.DType.Bytes(n)
	elsewhere := c.Data == nil && (c.Source != nil || c.Later != nil) && ok && sizeOf(c) == size
	if !whole && !elsewhere {
		s.badType("constant %q is %s, which does not go with %d bytes and %d strings of data", v.Name, c.Type(), sizeOf(c), len(c.Strings))
	}
}

// sizeOf returns the bytes of a tensor's data, in memory, on disk, or to come.
func sizeOf(t *Tensor) int64 {
	if t.Data == nil && t.Later == nil && t.Source != nil {
		return t.Source.Length
	}
	return t.Size()
}

func (s *scope) node(n *Node) {
	id := n.ID()
	if n.Op == "" {
		s.invalid("%s has no operator", id)
	}
	n.Reads(func(v *Value) { s.read(id, v) })
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		s.value(v)
		if v.Def != n || v.Index != i {
			s.invalid("output %d of %s is value %q, which says it is output %d of %s", i, id, v.Name, v.Index, defName(v))
		}
		s.define(id, v)
	}
	if n.IsCopy() {
		s.copyNode(n)
	} else if s.placed {
		s.oneSpace(n)
	}
	for _, b := range n.Bodies {
		s.body(n, b)
	}
}

// oneSpace checks that a node touches no space but its own.
func (s *scope) oneSpace(n *Node) {
	own := s.spaceOf(n)
	if own == "" {
		s.invalid("%s has no target, though the graph is placed", n.ID())
		return
	}
	n.Reads(func(v *Value) {
		if !s.anywhere(v) && v.Type.Space != own {
			s.invalid("%s on %s reads value %q, which lives in %s: a Copy is missing", n.ID(), own, v.Name, spaceName(v.Type.Space))
		}
	})
	for _, v := range n.Outputs {
		if v != nil && v.Type.Space != own {
			s.invalid("%s on %s writes value %q, which lives in %s: a node writes only to its own space", n.ID(), own, v.Name, spaceName(v.Type.Space))
		}
	}
}

// spaceOf returns the space a node works in; in a body it is that of the node
// around it unless it has a target of its own.
func (s *scope) spaceOf(n *Node) Space {
	if n.Target == "" && s.depth > 1 {
		return s.home
	}
	return Space(n.Target)
}

// copyNode checks that a Copy changes the space and nothing else.
func (s *scope) copyNode(n *Node) {
	if len(n.Inputs) != 1 || len(n.Outputs) != 1 || n.Inputs[0] == nil || n.Outputs[0] == nil {
		s.invalid("%s needs one input and one output", n.ID())
		return
	}
	in, out := n.Inputs[0], n.Outputs[0]
	a, b := in.Type, out.Type
	if !sameData(a, b) {
		a.Space, b.Space = "", ""
		s.badType("%s makes %s value %q of %s value %q: a Copy changes nothing but the space", n.ID(), b, out.Name, a, in.Name)
	}
	if !s.placed || s.anywhere(in) {
		return
	}
	if from, to := in.Type.Space, out.Type.Space; from == "" || to == "" || from == to {
		s.invalid("%s copies value %q in %s to %q in %s: a Copy crosses from one space to another", n.ID(), in.Name, spaceName(from), out.Name, spaceName(to))
	}
}

func (s *scope) body(n *Node, b *Body) {
	if b == nil || b.Graph == nil {
		s.invalid("%s has a body without a graph", n.ID())
		return
	}
	name := fmt.Sprintf("body %q of %s", b.Attr, n.ID())
	if s.graphs[b.Graph] {
		s.invalid("%s is the graph of another body, or a graph around it", name)
		return
	}
	if s.depth == MaxDepth {
		s.invalid("%s is nested more than %d deep", name, MaxDepth)
		return
	}
	in := &scope{
		verifier: s.verifier, where: s.where + name + ": ", home: s.spaceOf(n),
		spare: map[*Value]bool{}, depth: s.depth + 1,
	}
	if len(b.Outer) != len(b.Graph.Captures) {
		s.invalid("%s is given %d values for its %d captures", name, len(b.Outer), len(b.Graph.Captures))
	}
	for i, v := range b.Outer {
		if v == nil {
			s.invalid("%s is given nil for its capture %d", name, i)
			continue
		}
		if i >= len(b.Graph.Captures) || b.Graph.Captures[i] == nil {
			continue
		}
		c := b.Graph.Captures[i]
		in.spare[c] = s.anywhere(v)
		if t := c.Type; !unknown(t) && !unknown(v.Type) && (t.Kind != v.Type.Kind || t.DType != v.Type.DType) {
			s.badType("%s takes %s value %q for capture %q, which is %s", name, v.Type, v.Name, c.Name, c.Type)
		}
	}
	s.graph(b.Graph, in)
}

func spaceName(s Space) string {
	if s == "" {
		return "no space"
	}
	return string(s)
}

func defName(v *Value) string {
	if v.Def == nil {
		return "no node"
	}
	return v.Def.ID()
}
