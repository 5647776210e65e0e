package op

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// What Loop and Scan share: values carried from one iteration to the next, and
// results stacked over the iterations.

// maxPrecise bounds the nesting and the passes of inference that tries to keep
// extents; beyond, carried values lose theirs, so that hostile nesting costs one
// pass a level.
const maxPrecise = 4

// carry infers a loop's body whose inputs from at on start with the given
// types and are fed back from the outputs from back on. A carried value may
// change its extents from iteration to iteration: those that the body provably
// returns unchanged stay, all others become symbols of the body, until a pass
// over the body changes nothing. The result is the types that hold in every
// iteration, at its start and at its end.
func (in *Inference) carry(b *graph.Body, at, back int, start []graph.Type) ([]graph.Type, error) {
	types := append([]graph.Type{}, start...)
	varies := map[string]bool{}
	differ := func(d graph.Dim) graph.Dim {
		if name, ok := d.Symbol(); ok && varies[name] {
			return d
		}
		d = in.Fresh("iteration")
		name, _ := d.Symbol()
		varies[name] = true
		return d
	}
	for pass := 0; ; pass++ {
		last := pass >= maxPrecise || in.facts.depth >= maxPrecise
		for i, t := range types {
			if last {
				types[i] = unranked(t)
			}
			setType(b.Graph.Inputs[at+i], types[i])
		}
		if err := in.Body(b); err != nil {
			return nil, err
		}
		stable := true
		for i, t := range types {
			j, err := in.join(t, b.Graph.Outputs[back+i].Type, differ)
			if err != nil {
				return nil, fmt.Errorf("carried value %q: %w", b.Graph.Inputs[at+i].Name, err)
			}
			stable = stable && sameType(j, t)
			types[i] = j
		}
		if stable || last {
			return types, nil
		}
	}
}

// unranked returns a type without extents, and its elements' likewise.
func unranked(t graph.Type) graph.Type {
	t.Shape = nil
	if t.Elem != nil {
		e := unranked(*t.Elem)
		t.Elem = &e
	}
	return t
}

// setType gives a body's input its type; the space is not inference's.
func setType(v *graph.Value, t graph.Type) {
	t.Space = v.Type.Space
	v.Type = t
}

// outward returns a type of a loop's body as the loop's user sees it: a symbol
// of the body, which may stand for another extent in each iteration, becomes a
// fresh one. outer holds the symbols that mean the same inside and outside.
func (in *Inference) outward(t graph.Type, outer map[string]bool) graph.Type {
	if t.Shape.Ranked() {
		t.Shape = append(graph.Shape{}, t.Shape...)
	}
	for i, d := range t.Shape {
		inner := map[string]bool{}
		d.Symbols(inner)
		for name := range inner {
			if !outer[name] {
				t.Shape[i] = in.Fresh("loop")
				break
			}
		}
	}
	if t.Elem != nil {
		e := in.outward(*t.Elem, outer)
		t.Elem = &e
	}
	return t
}

// outerSymbols returns the symbols of all that a loop and its body read from outside.
func (in *Inference) outerSymbols() map[string]bool {
	set := map[string]bool{}
	add := func(v *graph.Value) {
		for t := &v.Type; t != nil; t = t.Elem {
			for _, d := range t.Shape {
				d.Symbols(set)
			}
		}
		elems, _ := in.facts.Elements(v)
		for _, d := range elems {
			d.Symbols(set)
		}
	}
	in.Node.Reads(add)
	return set
}

// stack collects one tensor an iteration.
type stack struct {
	n       int64
	shape   []int64 // of each
	dtype   graph.DType
	data    []byte
	strings []string
}

// push appends a tensor, which must have the dtype and shape of those before.
func (s *stack) push(t *graph.Tensor) error {
	if s.n == 0 {
		s.shape, s.dtype = t.Shape, t.DType
	}
	if t.Kind != graph.TensorKind || t.DType != s.dtype || !slices.Equal(t.Shape, s.shape) {
		return inputErrorf("a result of %s after results of %s%v", t.Type(), s.dtype, s.shape)
	}
	if bits := t.DType.Bits(); bits%8 != 0 {
		return fmt.Errorf("stacking %s is %w", t.DType, ErrUnsupported)
	}
	s.n++
	if n, err := graph.Elements(append([]int64{s.n}, s.shape...)); err != nil || n > graph.MaxElements {
		return fmt.Errorf("%w: %w: %d results of shape %v, the limit is %d elements", ErrInput, graph.ErrLimit, s.n, s.shape, int64(graph.MaxElements))
	}
	s.data = append(s.data, t.Data...)
	s.strings = append(s.strings, t.Strings...)
	return nil
}

// empty prepares for no iteration at all, in which only the body's output tells
// of dtype and shape; unknown extents are 0.
func (s *stack) empty(v *graph.Value) {
	s.dtype = v.Type.DType
	s.shape = make([]int64, len(v.Type.Shape))
	for i, d := range v.Type.Shape {
		if n, ok := d.Int(); ok && n > 0 {
			s.shape[i] = n
		}
	}
}

// tensor returns the results stacked along a new first axis.
func (s *stack) tensor() (*graph.Tensor, error) {
	if !s.dtype.Valid() {
		return nil, inputErrorf("no iteration, and the body's output has no dtype")
	}
	return &graph.Tensor{DType: s.dtype, Shape: append([]int64{s.n}, s.shape...), Data: s.data, Strings: s.strings}, nil
}

// checkBody returns the named body of a node if it takes as many values as given
// and gives at least as many as wanted.
func checkBody(n *graph.Node, name string, inputs, outputs int) (*graph.Body, error) {
	b := n.Body(name)
	if b == nil {
		return nil, inputErrorf("no graph %q", name)
	}
	if len(b.Graph.Inputs) != inputs || len(b.Graph.Outputs) < outputs {
		return nil, inputErrorf("graph %q takes %d and gives %d values, want %d and %d",
			name, len(b.Graph.Inputs), len(b.Graph.Outputs), inputs, outputs)
	}
	return b, nil
}
