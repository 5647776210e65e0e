package op

import (
	"fmt"

	"mnnconv/graph"
)

// Inference is one node's step of type inference: an operator's Infer reads
// input types (and, for shape arithmetic, input values as far as they are
// known) and sets output types.
type Inference struct {
	Node  *graph.Node
	types []graph.Type
	known [][]graph.Dim // known elements of integer outputs; nil: not known
	facts *Facts
}

// Facts carries what inference knows of values beyond their types. The zero
// value is not usable; see NewFacts.
type Facts struct {
	known map[*graph.Value][]graph.Dim
	// Declared has inference compare with the types that values have already, as the
	// file declares them: kinds and dtypes of all values, extents of the graph's
	// outputs. Exporters declare wrong extents of values within a graph, and nobody
	// reads them.
	Declared bool
	fresh    int
	depth    int // of bodies within bodies
	table    Table
}

// NewFacts starts an inference over one graph.
func NewFacts(t Table) *Facts {
	return &Facts{known: map[*graph.Value][]graph.Dim{}, table: t}
}

// maxKnown bounds the integer tensors whose elements are tracked.
const maxKnown = 256

// Know records the elements of an integer value as dims.
func (f *Facts) Know(v *graph.Value, elems []graph.Dim) {
	if len(elems) <= maxKnown {
		f.known[v] = elems
	}
}

// Elements returns the elements of an integer or bool value as dims, if known:
// constants, and what shape arithmetic derived. A bool is 0 or 1.
func (f *Facts) Elements(v *graph.Value) ([]graph.Dim, bool) {
	if v == nil {
		return nil, false
	}
	if k, ok := f.known[v]; ok {
		return k, true
	}
	if v.Const == nil || !v.Const.DType.IsInt() && v.Const.DType != graph.Bool || v.Const.Len() > maxKnown {
		return nil, false
	}
	ints, err := v.Const.Int64s()
	if err != nil {
		return nil, false
	}
	k := make([]graph.Dim, len(ints))
	for i, n := range ints {
		k[i] = graph.Const(n)
	}
	f.known[v] = k
	return k, true
}

// Node infers the output types of one node and records them in its values. With
// Declared, a kind or dtype that the value had and that contradicts the inferred one
// is an error wrapping graph.ErrType that shows both.
func (f *Facts) Node(n *graph.Node) error {
	o, err := f.table.Lookup(n)
	if err != nil {
		return err
	}
	if err := o.checkArity(n); err != nil {
		return fmt.Errorf("%s: %w", n.ID(), err)
	}
	if err := o.checkAttrs(n); err != nil {
		return fmt.Errorf("%s: %w", n.ID(), err)
	}
	for i, v := range n.Inputs {
		if v != nil {
			if err := o.checkKind(i, v.Type.Kind); err != nil {
				return fmt.Errorf("%s: %w", n.ID(), err)
			}
		}
	}
	in := &Inference{Node: n, facts: f, types: make([]graph.Type, len(n.Outputs)), known: make([][]graph.Dim, len(n.Outputs))}
	if err := o.Infer(in); err != nil {
		return fmt.Errorf("%s: %w", n.ID(), err)
	}
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		t := in.types[i]
		if f.Declared && !sameElements(v.Type, t) {
			return fmt.Errorf("%s: %w", n.ID(), contradiction(v.Name, v.Type, t))
		}
		t.Space = v.Type.Space
		v.Type = t
		delete(f.known, v) // what an earlier pass over a loop's body knew
		if in.known[i] != nil {
			f.Know(v, in.known[i])
		}
	}
	return nil
}

// contradiction is the error of a value whose declared type is not what is inferred.
func contradiction(name string, declared, inferred graph.Type) error {
	return fmt.Errorf("%w: the file declares %q as %s, what makes it gives %s", graph.ErrType, name, declared, inferred)
}

// sameElements reports whether two types may have the same kind and dtype.
func sameElements(a, b graph.Type) bool {
	unknown := func(t graph.Type) bool { return t.Kind == graph.TensorKind && !t.DType.Valid() }
	switch {
	case unknown(a) || unknown(b):
		return true
	case a.Kind != b.Kind:
		return false
	case a.Elem != nil && b.Elem != nil:
		return sameElements(*a.Elem, *b.Elem)
	}
	return a.DType == b.DType
}

// sameExtents reports whether two shapes may be equal.
func sameExtents(a, b graph.Shape) bool {
	if !a.Ranked() || !b.Ranked() {
		return true
	}
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		m, ok := a[i].Int()
		if n, ok2 := b[i].Int(); ok && ok2 && m != n {
			return false
		}
	}
	return true
}

// Graph infers every node in order.
func (f *Facts) Graph(g *graph.Graph) error {
	declared := make([]graph.Type, len(g.Outputs))
	for i, v := range g.Outputs {
		declared[i] = v.Type
	}
	for _, n := range g.Nodes {
		if err := f.Node(n); err != nil {
			return err
		}
	}
	if !f.Declared || f.depth > 0 {
		return nil
	}
	for i, v := range g.Outputs {
		if !sameExtents(declared[i].Shape, v.Type.Shape) {
			return fmt.Errorf("graph output %d: %w", i, contradiction(v.Name, declared[i], v.Type))
		}
	}
	return nil
}

// Has reports whether input i is present.
func (in *Inference) Has(i int) bool { return in.Node.In(i) != nil }

// Type returns the type of input i; the zero Type where it is absent.
func (in *Inference) Type(i int) graph.Type {
	if v := in.Node.In(i); v != nil {
		return v.Type
	}
	return graph.Type{}
}

// Const returns the tensor of a constant input, or nil.
func (in *Inference) Const(i int) *graph.Tensor {
	if v := in.Node.In(i); v != nil {
		return v.Const
	}
	return nil
}

// Elements returns the elements of integer input i as dims, if known.
func (in *Inference) Elements(i int) ([]graph.Dim, bool) { return in.facts.Elements(in.Node.In(i)) }

// Ints returns the elements of integer input i if all are known numbers.
func (in *Inference) Ints(i int) ([]int64, bool) {
	k, ok := in.Elements(i)
	if !ok {
		return nil, false
	}
	out := make([]int64, len(k))
	for j, d := range k {
		if out[j], ok = d.Int(); !ok {
			return nil, false
		}
	}
	return out, true
}

// Set gives output i its type.
func (in *Inference) Set(i int, t graph.Type) {
	if i < len(in.types) {
		in.types[i] = t
	}
}

// SetTensor gives output i a tensor type.
func (in *Inference) SetTensor(i int, d graph.DType, s graph.Shape) {
	in.Set(i, graph.Type{DType: d, Shape: s})
}

// Know records the elements of integer output i.
func (in *Inference) Know(i int, elems []graph.Dim) {
	if i < len(in.known) {
		in.known[i] = elems
	}
}

// Fresh returns a new symbol for an extent that only running tells; why says
// what it counts.
func (in *Inference) Fresh(why string) graph.Dim {
	in.facts.fresh++
	return graph.Sym(fmt.Sprintf("%s#%d", why, in.facts.fresh))
}

// FreshShape returns rank fresh symbols.
func (in *Inference) FreshShape(why string, rank int) graph.Shape {
	s := make(graph.Shape, rank)
	for i := range s {
		s[i] = in.Fresh(why)
	}
	return s
}

// Errorf returns an error that wraps graph.ErrType.
func (in *Inference) Errorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", graph.ErrType, fmt.Sprintf(format, args...))
}

// Body infers a body of the node whose inputs' types have been set by the
// caller; captures take the types of the outer values. Facts of the outer
// graph are visible to captures.
func (in *Inference) Body(b *graph.Body) error {
	for i, v := range b.Graph.Captures {
		v.Type = b.Outer[i].Type
		if b.Outer[i].Const != nil {
			v.Const = b.Outer[i].Const
		}
		delete(in.facts.known, v)
		if k, ok := in.facts.Elements(b.Outer[i]); ok {
			in.facts.Know(v, k)
		}
	}
	in.facts.depth++
	defer func() { in.facts.depth-- }()
	return in.facts.Graph(b.Graph)
}

// Broadcast returns the shape of ONNX's multidirectional broadcasting. Extents
// that provably differ and are both not 1 are an error. Where one extent is
// symbolic and the other is a constant other than 1, the constant wins.
func (in *Inference) Broadcast(shapes ...graph.Shape) (graph.Shape, error) {
	rank := 0
	for _, s := range shapes {
		if !s.Ranked() {
			return nil, nil
		}
		rank = max(rank, len(s))
	}
	out := make(graph.Shape, rank)
	for i := range out {
		d := graph.Const(1)
		for _, s := range shapes {
			j := i - rank + len(s)
			if j < 0 || s[j].IsConst(1) || s[j].Equal(d) {
				continue
			}
			if d.IsConst(1) {
				d = s[j]
				continue
			}
			a, aok := d.Int()
			b, bok := s[j].Int()
			switch {
			case aok && bok:
				return nil, in.Errorf("extents %d and %d cannot be broadcast together (shapes %v)", a, b, shapes)
			case bok:
				d = s[j]
			case !aok: // either may be 1: the result is provably neither
				d = in.Fresh("broadcast")
			}
		}
		out[i] = d
	}
	return out, nil
}
