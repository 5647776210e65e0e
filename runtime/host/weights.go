package host

import (
	"slices"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
)

// weights is the right side of a product in the type that it is stored in: rows of
// numbers, several matrices one behind the other. Scratch is for converted numbers.
type weights interface {
	// panel stores rows×cols of its numbers, from (row, col) on, as float32.
	panel(dst panel, row, col, rows, cols int)
	// view returns as many: where they lie, or in scratch, which has room for one row
	// more.
	view(scratch []float32, row, col, rows, cols int) panel
	// arrange orders m rows of a, k numbers long and zeros up to a whole block, for dots.
	arrange(a panel, m, k int)
	// dots adds to c the products of m arranged rows of a and n rows of its own,
	// from row on, of k numbers from col on.
	dots(c, a panel, scratch []float32, row, col, m, k, n int)
	// stream adds to c the products of m rows of a and k rows of its own, from row on, of
	// n numbers from col on, in the order in which they lie in memory.
	stream(c, a panel, scratch []float32, row, col, m, k, n int)
	// tiles does what stream does, to the same bits, for weights that lie in a cache: it
	// keeps sums in registers.
	tiles(c, a panel, scratch []float32, row, col, m, k, n int)
	// parts is how many numbers of bfloat16 have all bits of one of its own.
	parts() int
}

// dense is weights of a float type, as a tensor stores them.
type dense struct {
	dtype graph.DType
	data  []byte
	cols  int
}

func (d *dense) panel(dst panel, row, col, rows, cols int) {
	for r := range rows {
		loadFloats(dst.Row(r, cols), d.dtype, d.data, (row+r)*d.cols+col)
	}
}

func (d *dense) view(scratch []float32, row, col, rows, cols int) panel {
	if d.dtype == graph.Float32 {
		return panelOf(graph.ViewBytes[float32](d.data)[row*d.cols+col:], d.cols)
	}
	p := panelOf(scratch, cols)
	d.panel(p, row, col, rows, cols)
	return p
}

// halves returns the numbers from (row, col) on, of a type of 16 bits.
func (d *dense) halves(row, col int) simd.Panel[uint16] {
	return simd.Panel[uint16]{At: graph.ViewBytes[uint16](d.data)[row*d.cols+col:], Stride: d.cols}
}

func (d *dense) arrange(panel, int, int) {}

func (d *dense) parts() int { return partsOf(d.dtype) }

func (d *dense) dots(c, a panel, scratch []float32, row, col, m, k, n int) {
	switch {
	case d.dtype == graph.Float32 || !vectors.ReadsHalves():
		vectors.Dots(c, a, d.view(scratch, row, col, n, k), m, k, n)
	case d.dtype == graph.Float16:
		vectors.DotsF16(c, a, d.halves(row, col), m, k, n)
	default:
		vectors.DotsBF16(c, a, d.halves(row, col), m, k, n)
	}
}

func (d *dense) stream(c, a panel, scratch []float32, row, col, m, k, n int) {
	switch {
	case d.dtype == graph.Float32 || !vectors.ReadsHalves():
		vectors.Stream(c, a, d.view(scratch, row, col, k, n), m, k, n)
	case d.dtype == graph.Float16:
		vectors.StreamF16(c, a, d.halves(row, col), m, k, n)
	default:
		vectors.StreamBF16(c, a, d.halves(row, col), m, k, n)
	}
}

func (d *dense) tiles(c, a panel, scratch []float32, row, col, m, k, n int) {
	switch {
	case d.dtype == graph.Float32 || !vectors.ReadsHalves():
		vectors.Rows(c, a, d.view(scratch, row, col, k, n), m, k, n)
	case d.dtype == graph.Float16:
		vectors.RowsOfF16(c, a, d.halves(row, col), m, k, n)
	default:
		vectors.RowsOfBF16(c, a, d.halves(row, col), m, k, n)
	}
}

// storedWeight returns what is stored of the right side v of a product. A
// constant may stand behind nodes that nobody else reads: a widening Cast, and a
// Transpose of its last two axes. A product does both itself. swapped tells
// whether there was a Transpose, behind lists the nodes in order.
func storedWeight(v *graph.Value, uses map[*graph.Value][]graph.Use) (stored *graph.Value, swapped bool, behind []*graph.Node) {
	w := v
	for w.Const == nil {
		n := w.Def
		if n == nil || len(uses[w]) != 1 || n.In(0) == nil || !isFloat(n.In(0).Type.DType) {
			return v, false, nil
		}
		switch perm := n.Ints("perm"); {
		case n.Is("Cast") && w.Type.DType == graph.Float32:
		case n.Is("Transpose") && len(w.Type.Shape) == 2 && (perm == nil || slices.Equal(perm, []int64{1, 0})):
			swapped = !swapped
		default:
			return v, false, nil
		}
		behind = append(behind, n)
		w = n.In(0)
	}
	slices.Reverse(behind)
	return w, swapped, behind
}
