package host

import (
	"slices"

	"mnnconv/graph"
)

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
