package gpu

import (
	"slices"

	"mnnconv/graph"
)

// rows is kernels/move.cl's Rows.
type rows struct {
	Outer, Rows, Width, Capacity, Round int32
	Batch, Head, Row                    int32
}

// lowerTensorScatter covers ONNX TensorScatter along any axis, and a Transpose before
// it that brings the update's heads in front of its rows. A state is written where it
// lies; rows that do not fit are left out.
func lowerTensorScatter(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("TensorScatter") || !isMovable(n.In(0)) || !isTensor(n.In(1)) || n.In(2) != nil && !isIndex(n.In(2)) {
		return Group{}, false
	}
	rank := len(n.Inputs[0].Type.Shape)
	axis, ok := axisOf(n.Int("axis", -2), rank)
	mode := n.Str("mode", "linear")
	if !ok || axis == 0 || mode != "linear" && mode != "circular" {
		return Group{}, false
	}
	g, swapped := single(n), false
	if before := n.Inputs[1].Def; rank == 4 && axis == 2 && swapsHeads(before) && len(uses[n.Inputs[1]]) == 1 {
		g.Name, g.Nodes, swapped = "Transpose+"+g.Name, []*graph.Node{before, n}, true
		g.In = slices.Clone(g.In)
		g.In[1] = before.Inputs[0]
	}
	g.InPlace = 1
	g.Record = func(r *Recorder) error {
		cache, u, at, y := r.In[0], r.In[1], r.Optional(2), r.Out[0]
		shape := u.Shape
		if swapped {
			shape = permuted(shape, []int{0, 2, 1, 3})
		}
		if len(shape) != rank || u.DType != y.DType || shape[axis] > y.Shape[axis] || at != nil && at.Len() != int(y.Shape[0]) {
			return r.mismatch(cache, u, at)
		}
		for i, d := range y.Shape {
			if i != axis && shape[i] != d {
				return r.mismatch(cache, u, at)
			}
		}
		if y.memory != cache.memory || y.offset != cache.offset {
			if err := r.copy(y, cache); err != nil {
				return err
			}
		}
		outer, width := around(y.Shape[1:], axis-1)
		s := rows{Outer: int32(outer), Rows: int32(shape[axis]), Width: int32(width), Capacity: int32(y.Shape[axis])}
		s.Row, s.Head, s.Batch = s.Width, s.Rows*s.Width, s.Outer*s.Rows*s.Width
		if swapped {
			s.Row, s.Head = s.Outer*s.Width, s.Width
		}
		if mode == "circular" {
			s.Round = 1
		}
		return r.Launch("move", "scatter_rows", over(u.Len()), wide, y, u, at, typeOf(at), u.Len(), bytesOf(y.DType), s)
	}
	return g, true
}
