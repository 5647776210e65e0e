package quantize

import "mnnconv/graph"

// matrix is a weight as a product or a lookup reads it: rows of numbers that are
// summed over, or of an embedding.
type matrix struct {
	t          *graph.Tensor // of rank 2
	rows, cols int
	transposed bool // stored [cols, rows]
}

// newMatrix views a constant of rank 2.
func newMatrix(t *graph.Tensor, transposed bool) matrix {
	m := matrix{t: t, rows: int(t.Shape[0]), cols: int(t.Shape[1]), transposed: transposed}
	if transposed {
		m.rows, m.cols = m.cols, m.rows
	}
	return m
}

// readable lists the types that load takes.
func readable(d graph.DType) bool {
	return d == graph.Float32 || d == graph.Float16 || d == graph.BFloat16
}

// reader reads numbers of matrices; it is of one goroutine.
type reader struct {
	loops Loops
	lines []float32
}

// lines is how many rows of a transposed matrix, as it is stored, are turned at a time.
const lines = 16

// load stores rows×cols numbers of m from (row, col) on in dst, each row stride behind
// the one before.
func (r *reader) load(m *matrix, dst []float32, stride, row, col, rows, cols int) {
	switch m.t.DType {
	case graph.Float16:
		loadAs(r, m, graph.View[uint16](m.t), r.loops.WidenF16, dst, stride, row, col, rows, cols)
	case graph.BFloat16:
		loadAs(r, m, graph.View[uint16](m.t), r.loops.WidenBF16, dst, stride, row, col, rows, cols)
	default:
		loadAs(r, m, graph.View[float32](m.t), func(dst, src []float32) { copy(dst, src) }, dst, stride, row, col, rows, cols)
	}
}

func loadAs[T uint16 | float32](r *reader, m *matrix, src []T, widen func(dst []float32, src []T), dst []float32, stride, row, col, rows, cols int) {
	if !m.transposed {
		for i := range rows {
			widen(dst[i*stride:][:cols], src[(row+i)*m.cols+col:][:cols])
		}
		return
	}
	apart := rows + 16 // not a power of two: lines would share sets of the cache
	if len(r.lines) < lines*apart {
		r.lines = make([]float32, lines*apart)
	}
	for c := 0; c < cols; c += lines {
		n := min(lines, cols-c)
		for i := range n {
			widen(r.lines[i*apart:][:rows], src[(col+c+i)*m.rows+row:][:rows])
		}
		r.loops.Turn(dst[c:], stride, r.lines, apart, n, rows)
	}
}
