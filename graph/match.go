package graph

import (
	"bytes"
	"slices"
)

// Pattern describes a value by how it is computed. Passes build patterns once,
// as package variables, and match them against values; a pattern is never
// changed after it was built, so it may be shared and used at the same time.
//
//	var silu = Op("Mul", Any("x"), Op("Sigmoid", Any("x")))
//
// A name that occurs twice must be the same value both times; constants with
// equal contents count as the same.
type Pattern struct {
	kind       patternKind
	domain, op string
	name       string // what the matched value is bound to; empty: not bound
	args       []*Pattern
	more       bool // further inputs are allowed
	literal    float32
	size       int // parts of the pattern, which bounds the search
}

type patternKind uint8

const (
	anyPattern patternKind = iota
	opPattern
	orPattern
	maybePattern
	constPattern
	scalarPattern
	literalPattern
)

// Any matches every value. The empty name binds nothing, here and below.
func Any(name string) *Pattern { return build(Pattern{kind: anyPattern, name: name}) }

// Op matches the first output of an operator of ai.onnx whose inputs match
// args. A nil arg demands that the input is absent, and so do inputs beyond the
// last arg; without any args, the inputs are not looked at. Of a commutative
// operator with two inputs, both orders are tried.
func Op(op string, args ...*Pattern) *Pattern { return OpIn("", op, args...) }

// OpIn is Op for an operator of another domain.
func OpIn(domain, op string, args ...*Pattern) *Pattern {
	return build(Pattern{kind: opPattern, domain: domain, op: op, args: args, more: len(args) == 0})
}

// Or matches what any of the patterns matches; the first one that leads to a
// match of the whole counts.
func Or(alternatives ...*Pattern) *Pattern {
	return build(Pattern{kind: orPattern, args: alternatives})
}

// Maybe matches p, or the named operator of ai.onnx whose first input matches p:
// Maybe("Cast", p) looks through a cast.
func Maybe(op string, p *Pattern) *Pattern {
	return build(Pattern{kind: maybePattern, op: op, args: []*Pattern{p}})
}

// ConstOf matches a constant tensor.
func ConstOf(name string) *Pattern { return build(Pattern{kind: constPattern, name: name}) }

// ScalarOf matches a numeric constant of one element, of any rank.
func ScalarOf(name string) *Pattern { return build(Pattern{kind: scalarPattern, name: name}) }

// Literal matches a constant of one element that is x, rounded to the constant's
// own dtype.
func Literal(x float32) *Pattern { return build(Pattern{kind: literalPattern, literal: x}) }

func build(p Pattern) *Pattern {
	p.size = 1
	for _, a := range p.args {
		if a != nil {
			p.size += a.size
		}
	}
	return &p
}

// As returns the pattern bound to a name: the value, and with it its node.
func (p *Pattern) As(name string) *Pattern { q := *p; q.name = name; return &q }

// More returns an operator's pattern that allows inputs beyond its args.
func (p *Pattern) More() *Pattern { q := *p; q.more = true; return &q }

// Binding is a match: what the names stand for, and the nodes it covers.
type Binding struct {
	Root   *Value
	Nodes  []*Node // that operators of the pattern matched, each once, the root's first
	names  []string
	values []*Value
}

// Value returns the value bound to the name, or nil where the matched
// alternative does not bind it.
func (b *Binding) Value(name string) *Value {
	if i := slices.Index(b.names, name); i >= 0 {
		return b.values[i]
	}
	return nil
}

// Node returns the node that computes the value bound to the name, or nil.
func (b *Binding) Node(name string) *Node {
	if v := b.Value(name); v != nil {
		return v.Def
	}
	return nil
}

// Float returns the only element of the constant bound to the name; ok is
// false where there is no such number.
func (b *Binding) Float(name string) (x float32, ok bool) { return singleNumber(b.Value(name)) }

// stepsPerSquare times the square of a pattern's size is the number of
// comparisons after which a search ends without a match. Choices (orders of
// commutative operators, alternatives) could otherwise multiply on a graph that
// was made for it; the patterns of the passes need a small part of it.
const stepsPerSquare = 64

// Match reports whether v is computed as the pattern says, walking from v to
// its producers. The cost is bounded by the pattern, whatever the graph.
func (p *Pattern) Match(v *Value) (*Binding, bool) {
	if v == nil || p.kind == opPattern && !p.heads(v) {
		return nil, false // most calls end here, before anything is allocated
	}
	s := &search{steps: stepsPerSquare * p.size * p.size, b: Binding{Root: v}}
	if !s.match(p, v, func() bool { return true }) {
		return nil, false
	}
	s.b.Nodes = make([]*Node, 0, len(s.nodes))
	for _, n := range s.nodes {
		if !slices.Contains(s.b.Nodes, n) {
			s.b.Nodes = append(s.b.Nodes, n)
		}
	}
	return &s.b, true
}

// search is one backtracking walk: match calls next once its part fits, and
// takes its bindings back where the rest does not.
type search struct {
	b     Binding
	nodes []*Node
	steps int
}

func (s *search) match(p *Pattern, v *Value, next func() bool) bool {
	if s.steps--; s.steps < 0 {
		return false
	}
	if v == nil {
		return p == nil && next()
	}
	if p == nil {
		return false
	}
	if p.name != "" {
		inner := next
		next = func() bool { return s.bind(p.name, v, inner) }
	}
	switch p.kind {
	case anyPattern:
		return next()
	case opPattern:
		return p.heads(v) && s.cover(v.Def, func() bool { return s.inputs(p, v.Def, next) })
	case orPattern:
		for _, a := range p.args {
			if s.match(a, v, next) {
				return true
			}
		}
		return false
	case maybePattern:
		if n := v.Def; n.Is(p.op) && v.Index == 0 && n.In(0) != nil &&
			s.cover(n, func() bool { return s.match(p.args[0], n.In(0), next) }) {
			return true
		}
		return s.match(p.args[0], v, next)
	case constPattern:
		return v.Const != nil && next()
	case scalarPattern:
		_, ok := singleNumber(v)
		return ok && next()
	}
	x, ok := singleNumber(v)
	return ok && x == roundTo(v.Const.DType, p.literal) && next()
}

// heads reports whether v is made by the pattern's operator, its inputs aside.
func (p *Pattern) heads(v *Value) bool {
	n := v.Def
	return n != nil && n.Op == p.op && n.Domain == p.domain && v.Index == 0
}

func (s *search) cover(n *Node, next func() bool) bool {
	s.nodes = append(s.nodes, n)
	if next() {
		return true
	}
	s.nodes = s.nodes[:len(s.nodes)-1]
	return false
}

func (s *search) bind(name string, v *Value, next func() bool) bool {
	if w := s.b.Value(name); w != nil {
		return sameValue(v, w) && next()
	}
	s.b.names, s.b.values = append(s.b.names, name), append(s.b.values, v)
	if next() {
		return true
	}
	n := len(s.b.names) - 1
	s.b.names, s.b.values = s.b.names[:n], s.b.values[:n]
	return false
}

func (s *search) inputs(p *Pattern, n *Node, next func() bool) bool {
	if !p.more {
		for i := len(p.args); i < len(n.Inputs); i++ {
			if n.Inputs[i] != nil {
				return false
			}
		}
	}
	if s.from(0, p.args, n.In, next) {
		return true
	}
	return len(p.args) == 2 && commutative(n) && s.from(0, p.args, func(i int) *Value { return n.In(1 - i) }, next)
}

func (s *search) from(i int, args []*Pattern, in func(int) *Value, next func() bool) bool {
	if i == len(args) {
		return next()
	}
	return s.match(args[i], in(i), func() bool { return s.from(i+1, args, in, next) })
}

// commutative reports whether a node's two inputs may be swapped.
func commutative(n *Node) bool {
	if n.Domain != "" {
		return false
	}
	switch n.Op {
	case "Add", "Mul", "And", "Or", "Xor", "Equal", "Min", "Max", "Sum", "Mean",
		"BitwiseAnd", "BitwiseOr", "BitwiseXor":
		return true
	}
	return false
}

func singleNumber(v *Value) (float32, bool) {
	if v == nil || v.Const == nil || v.Const.Kind != TensorKind {
		return 0, false
	}
	if n, whole := v.Const.elements(); n != 1 || !whole {
		return 0, false
	}
	x, err := v.Const.Float32s()
	if err != nil {
		return 0, false
	}
	return x[0], true
}

func roundTo(d DType, x float32) float32 {
	switch d {
	case Float16:
		return F16ToF32(F32ToF16(x))
	case BFloat16:
		return BF16ToF32(F32ToBF16(x))
	}
	return x
}

func sameValue(v, w *Value) bool {
	return v == w || v.Const != nil && w.Const != nil && sameTensor(v.Const, w.Const)
}

func sameTensor(t, u *Tensor) bool {
	if t == u {
		return true
	}
	if t.Kind != u.Kind || t.DType != u.DType || !slices.Equal(t.Shape, u.Shape) {
		return false
	}
	if t.Source != nil && u.Source != nil && *t.Source == *u.Source {
		return true
	}
	if t.Data == nil && t.Source != nil || u.Data == nil && u.Source != nil {
		return false // a weight that has not been read: not known to be the same
	}
	return bytes.Equal(t.Data, u.Data) && slices.Equal(t.Strings, u.Strings) && slices.EqualFunc(t.Elems, u.Elems, sameTensor)
}
