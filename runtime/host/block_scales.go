package host

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
	"mnnconv/schemas/op"
)

// scalesForm is how the scales of blocks, input 2 of their node, are read.
type scalesForm struct {
	in     []*graph.Value // the node's inputs, with the scales as they are stored; then the factors
	behind []*graph.Node  // what would widen them
	factor int            // index in in; 0: the scales are floats
	half   bool           // products of codes and factors are rounded to float16
}

// scalesOf finds scales that are stored as floats narrower than the operator takes them,
// behind a Cast, or as codes of 8 bits times a factor for each row.
func scalesOf(n *graph.Node, uses map[*graph.Value][]graph.Use) scalesForm {
	f := scalesForm{in: n.Inputs}
	if n.In(2) == nil {
		return f
	}
	if c, ok := op.FindCodedScales(n.In(2)); ok && c.InPlace(uses) {
		f.in = append(slices.Clone(n.Inputs), c.Factors)
		f.in[2], f.factor, f.behind, f.half = c.Codes, len(n.Inputs), c.Nodes, c.Rounded == graph.Float16
		return f
	}
	scales, swapped, behind := storedWeight(n.In(2), uses)
	if swapped || scales.Const == nil {
		return f
	}
	f.in = slices.Clone(n.Inputs)
	f.in[2], f.behind = scales, behind
	return f
}

// bind returns the scales of rows of so many blocks.
func (f *scalesForm) bind(in []*graph.Tensor, rows, perRow int) (blockScales, error) {
	s := blockScales{numbers: in[2], perRow: perRow, half: f.half}
	if f.factor > 0 {
		s.factors = in[f.factor]
	}
	known := isFloat(s.numbers.DType)
	if s.factors != nil {
		known = s.numbers.DType == graph.Int8
		if s.factors.DType != graph.Float32 || s.factors.Len() != rows {
			return s, fmt.Errorf("%w: factors of scales are %s, want %d floats", op.ErrInput, s.factors.Type(), rows)
		}
	}
	if want := rows * perRow; !known || s.numbers.Len() != want {
		return s, fmt.Errorf("%w: scales are %s, want %d floats", op.ErrInput, s.numbers.Type(), want)
	}
	return s, nil
}

// blockScales is a number for each block of a matrix.
type blockScales struct {
	numbers *graph.Tensor // [rows, blocks]: floats, or codes of 8 bits
	factors *graph.Tensor // float32, what the codes of a row are multiplied with; nil: there are no codes
	perRow  int
	half    bool // products are rounded to float16
}

// floats reports whether they need no conversion.
func (s *blockScales) floats() bool { return s.numbers.DType == graph.Float32 }

// short reports whether they have as many bits as float16.
func (s *blockScales) short() bool { return s.half || s.factors == nil && !s.floats() }

// load stores those of blocks of a row from block first on.
func (s *blockScales) load(dst []float32, row, first int) {
	at := row*s.perRow + first
	if s.factors == nil {
		loadFloats(dst, s.numbers.DType, s.numbers.Data, at)
		return
	}
	vectors.WidenI8(dst, graph.View[int8](s.numbers)[at:][:len(dst)])
	vectors.Scale(dst, dst, graph.View[float32](s.factors)[row])
	if s.half {
		vectors.RoundF16(dst)
	}
}

// stored has w read the scales of rows from row on where they lie, if its dots can.
func (s *blockScales) stored(w *simd.Blocks, row int) bool {
	switch {
	case s.factors != nil:
		w.Codes = simd.Panel[int8]{At: graph.View[int8](s.numbers)[row*s.perRow:], Stride: s.perRow}
		w.Factor = graph.View[float32](s.factors)[row:]
	case s.numbers.DType == graph.Float16:
		w.Halves = simd.Panel[uint16]{At: graph.View[uint16](s.numbers)[row*s.perRow:], Stride: s.perRow}
	default:
		return false
	}
	return true
}
