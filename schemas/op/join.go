package op

import "mnnconv/graph"

// join returns the narrowest type that both a and b fit: what a value is that
// is one or the other (branches of If, elements of a sequence, iterations of a
// loop). differ gives the extent of an axis where a's is not provably b's.
// Different element types are an error; an optional also stands for what it holds.
func (in *Inference) join(a, b graph.Type, differ func(a graph.Dim) graph.Dim) (graph.Type, error) {
	if a.Kind != b.Kind && (a.Kind == graph.OptionalKind || b.Kind == graph.OptionalKind) {
		a, b = asOptional(a), asOptional(b)
	}
	if a.Kind != b.Kind || a.DType.Valid() && b.DType.Valid() && a.DType != b.DType {
		return a, in.Errorf("%s and %s where one type is needed", a, b)
	}
	if a.Kind != graph.TensorKind {
		switch {
		case a.Elem == nil:
			a.Elem = b.Elem
		case b.Elem != nil:
			e, err := in.join(*a.Elem, *b.Elem, differ)
			if err != nil {
				return a, err
			}
			a.Elem = &e
		}
		return a, nil
	}
	if !a.DType.Valid() {
		a.DType = b.DType
	}
	if !a.Shape.Ranked() || !b.Shape.Ranked() || len(a.Shape) != len(b.Shape) {
		a.Shape = nil
		return a, nil
	}
	shape := append(graph.Shape{}, a.Shape...)
	for i, d := range b.Shape {
		if !shape[i].Equal(d) {
			shape[i] = differ(shape[i])
		}
	}
	a.Shape = shape
	return a, nil
}

func asOptional(t graph.Type) graph.Type {
	if t.Kind == graph.OptionalKind {
		return t
	}
	return graph.Type{Kind: graph.OptionalKind, Elem: &t}
}

// either is join where differing extents are unknown until the value is there.
func (in *Inference) either(a, b graph.Type) (graph.Type, error) {
	return in.join(a, b, func(graph.Dim) graph.Dim { return in.Fresh("either") })
}

// sameType reports whether two types are provably the same, spaces aside.
func sameType(a, b graph.Type) bool {
	if a.Kind != b.Kind && (a.Kind == graph.OptionalKind || b.Kind == graph.OptionalKind) {
		a, b = asOptional(a), asOptional(b)
	}
	if a.Kind != b.Kind || a.DType != b.DType || (a.Elem == nil) != (b.Elem == nil) || !a.Shape.Equal(b.Shape) {
		return false
	}
	return a.Elem == nil || sameType(*a.Elem, *b.Elem)
}
