package quantize

import (
	"math"

	"mnnconv/graph"
)

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

// load stores rows×cols numbers from (row, col) on in dst, each row stride behind
// the one before.
func (m *matrix) load(dst []float32, stride, row, col, rows, cols int) {
	switch m.t.DType {
	case graph.Float16:
		loadAs(m, graph.View[uint16](m.t), graph.F16ToF32, dst, stride, row, col, rows, cols)
	case graph.BFloat16:
		loadAs(m, graph.View[uint16](m.t), wideBF16, dst, stride, row, col, rows, cols)
	default:
		loadAs(m, graph.View[float32](m.t), func(f float32) float32 { return f }, dst, stride, row, col, rows, cols)
	}
}

func wideBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

func loadAs[T uint16 | float32](m *matrix, src []T, wide func(T) float32, dst []float32, stride, row, col, rows, cols int) {
	if !m.transposed {
		for r := range rows {
			in, out := src[(row+r)*m.cols+col:][:cols], dst[r*stride:][:cols]
			for i, x := range in {
				out[i] = wide(x)
			}
		}
		return
	}
	for c := range cols {
		in := src[(col+c)*m.rows+row:][:rows]
		for r, x := range in {
			dst[r*stride+c] = wide(x)
		}
	}
}
