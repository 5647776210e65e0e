package host

import "mnnconv/graph"

// weights is one side of a product in the type that it is stored in: rows of
// numbers, several matrices one behind the other.
type weights interface {
	// panel returns rows×cols of its numbers, from (row, col) on, as float32:
	// where they lie, or converted into scratch.
	panel(scratch []float32, row, col, rows, cols int) panel
}

// dense is weights of a float type, as a tensor stores them.
type dense struct {
	dtype graph.DType
	data  []byte
	cols  int
}

func (d *dense) panel(scratch []float32, row, col, rows, cols int) panel {
	if d.dtype == graph.Float32 {
		return panel{graph.ViewBytes[float32](d.data)[row*d.cols+col:], d.cols}
	}
	for r := range rows {
		loadFloats(scratch[r*cols:][:cols], d.dtype, d.data, (row+r)*d.cols+col)
	}
	return panel{scratch, cols}
}
