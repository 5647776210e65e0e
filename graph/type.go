package graph

import (
	"slices"
	"strings"
)

// Space names a memory that a value lives in: "cpu", "sim:0", "cuda:0". Two
// spaces never share addresses, even on one device. The empty space means that
// the graph has not been placed yet.
type Space string

// Host is the space of graph inputs and outputs.
const Host Space = "cpu"

// Kind tells tensors from ONNX's containers.
type Kind uint8

// The kinds of values that ONNX knows and mnnconv runs.
const (
	TensorKind Kind = iota
	SequenceKind
	OptionalKind
)

// Type is what is known of a value before anything runs.
type Type struct {
	Kind  Kind
	DType DType
	Shape Shape // nil: rank unknown; empty and not nil: a scalar
	Elem  *Type // of a sequence or an optional
	Space Space
}

// Flat reports whether a value of this type is bytes in a memory space: a tensor of
// anything but strings. Strings, sequences and optionals exist on the host alone.
func (t Type) Flat() bool { return t.Kind == TensorKind && t.DType != String }

// Shape is a list of extents, outermost first.
type Shape []Dim

// TensorOf builds a tensor type; each dim is an int, int64, string (a symbol) or Dim.
func TensorOf(d DType, dims ...any) Type { return Type{DType: d, Shape: ShapeOf(dims...)} }

// ShapeOf builds a shape from ints, strings (symbols) and Dims.
func ShapeOf(dims ...any) Shape {
	s := make(Shape, len(dims))
	for i, d := range dims {
		switch d := d.(type) {
		case int:
			s[i] = Const(int64(d))
		case int64:
			s[i] = Const(d)
		case string:
			s[i] = Sym(d)
		case Dim:
			s[i] = d
		default:
			panic("graph: invariant: ShapeOf takes ints, strings and Dims")
		}
	}
	return s
}

// Ranked reports whether the rank is known.
func (s Shape) Ranked() bool { return s != nil }

// Equal reports whether two shapes are provably the same.
func (s Shape) Equal(t Shape) bool {
	return s.Ranked() == t.Ranked() && slices.EqualFunc(s, t, Dim.Equal)
}

// Ints returns the extents of a shape without symbols.
func (s Shape) Ints() ([]int64, bool) {
	if !s.Ranked() {
		return nil, false
	}
	out := make([]int64, len(s))
	for i, d := range s {
		n, ok := d.Int()
		if !ok {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// Eval returns the extents under env.
func (s Shape) Eval(env Env) ([]int64, error) {
	out := make([]int64, len(s))
	for i, d := range s {
		n, err := d.Eval(env)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// Elements returns the product of the extents.
func (s Shape) Elements() Dim {
	n := Const(1)
	for _, d := range s {
		n = n.Mul(d)
	}
	return n
}

// Subst replaces symbols in every extent.
func (s Shape) Subst(with map[string]Dim) Shape {
	if !s.Ranked() {
		return nil
	}
	out := make(Shape, len(s))
	for i, d := range s {
		out[i] = d.Subst(with)
	}
	return out
}

// String writes the extents in brackets; an unknown rank is "[?]".
func (s Shape) String() string {
	if !s.Ranked() {
		return "[?]"
	}
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// String writes the type as in "float16[batch, 4*n]@sim:0".
func (t Type) String() string {
	var s string
	switch t.Kind {
	case SequenceKind, OptionalKind:
		name := "sequence"
		if t.Kind == OptionalKind {
			name = "optional"
		}
		if t.Elem == nil {
			s = name
		} else {
			s = name + "(" + t.Elem.String() + ")"
		}
	default:
		s = t.DType.String() + t.Shape.String()
	}
	if t.Space != "" {
		s += "@" + plainOrQuoted(string(t.Space), isSpace)
	}
	return s
}
