package op

import "mnnconv/graph"

// maxRank bounds the vectors that partial invents elements for.
const maxRank = 64

// partial returns the elements of input i, a vector that says a shape, as far
// as they are known; nil stands for one that only running tells. Exporters
// concatenate such vectors from single extents, of which a few are computed from
// values. ok is false where not even their number is known.
func (in *Inference) partial(i int) (elems []*graph.Dim, ok bool) {
	v := in.Node.In(i)
	if _, known := in.facts.Elements(v); known || !v.Def.Is("Concat") {
		return in.facts.some(v)
	}
	for _, part := range v.Def.Inputs {
		some, ok := in.facts.some(part)
		if !ok || len(elems)+len(some) > maxRank {
			return nil, false
		}
		elems = append(elems, some...)
	}
	return elems, true
}

// some returns all elements of a vector, or one nil for each where none is known.
func (f *Facts) some(v *graph.Value) ([]*graph.Dim, bool) {
	if known, ok := f.Elements(v); ok {
		elems := make([]*graph.Dim, len(known))
		for i := range known {
			elems[i] = &known[i]
		}
		return elems, true
	}
	if v == nil || len(v.Type.Shape) != 1 {
		return nil, false
	}
	n, ok := v.Type.Shape[0].Int()
	if !ok || n < 0 || n > maxRank {
		return nil, false
	}
	return make([]*graph.Dim, n), true
}

// orFresh returns the known elements, and fresh extents for the others.
func (in *Inference) orFresh(why string, elems []*graph.Dim) []graph.Dim {
	dims := make([]graph.Dim, len(elems))
	for i, d := range elems {
		if d == nil {
			dims[i] = in.Fresh(why)
		} else {
			dims[i] = *d
		}
	}
	return dims
}
