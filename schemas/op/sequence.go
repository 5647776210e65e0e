package op

import "mnnconv/graph"

// What the sequence operators share. In the type of a sequence, a constant
// extent holds for every element; a symbol there is some extent of each
// element, which may differ from one to the next, and so never leaves the
// sequence. No Elem means that there is provably no element yet, or that
// nothing is known of them.

// sequenceOf returns the type of a sequence of elements of type e.
func sequenceOf(e graph.Type) graph.Type {
	e.Space = ""
	return graph.Type{Kind: graph.SequenceKind, Elem: &e}
}

// sequence returns the element type of input 0, which must be a sequence; nil
// where it has none. A value of SequenceEmpty counts as without elements, so
// that the first one inserted sets the shape.
func (in *Inference) sequence() (*graph.Type, error) {
	t := in.Type(0)
	if t.Kind != graph.SequenceKind {
		return nil, in.Errorf("input 0 is %s, want a sequence", t)
	}
	if in.Node.In(0).Def.Is("SequenceEmpty") {
		return nil, nil
	}
	return t.Elem, nil
}

// element returns the type of one element of a sequence: symbols become fresh
// ones.
func (in *Inference) element(e *graph.Type) graph.Type {
	if e == nil {
		return graph.Type{}
	}
	t := *e
	if t.Shape.Ranked() {
		t.Shape = append(graph.Shape{}, t.Shape...)
	}
	for i, d := range t.Shape {
		if _, ok := d.Int(); !ok {
			t.Shape[i] = in.Fresh("element")
		}
	}
	return t
}

// sequence returns input 0 of a call, which must be a sequence.
func (c *Call) sequence() (*graph.Tensor, error) {
	if t := c.Arg(0); t.Kind == graph.SequenceKind {
		return t, nil
	}
	return nil, inputErrorf("input 0 is no sequence")
}

// position returns the position that input i names in a sequence of n, def
// where it is absent. Positions up to last are legal.
func (c *Call) position(i int, n, def, last int) (int, error) {
	t := c.Arg(i)
	if t == nil {
		if def < 0 {
			return 0, inputErrorf("the sequence is empty")
		}
		return def, nil
	}
	v, err := t.Int64s()
	if err != nil {
		return 0, err
	}
	if len(v) != 1 {
		return 0, inputErrorf("position has %d elements, want one", len(v))
	}
	p := v[0]
	if p < 0 {
		p += int64(n)
	}
	if p < 0 || p > int64(last) {
		return 0, inputErrorf("position %d in a sequence of %d", v[0], n)
	}
	return int(p), nil
}

// sequenceTensor returns a sequence of the elements.
func sequenceTensor(elems ...*graph.Tensor) *graph.Tensor {
	return &graph.Tensor{Kind: graph.SequenceKind, Elems: elems}
}
