package gpu

import (
	"slices"

	"mnnconv/graph"
)

// heads are the extents of a tensor of attention heads, and how far apart its vectors
// lie, in elements.
type heads struct {
	batch, heads, rows, size     int
	batchStep, headStep, rowStep int
}

// headsOf reads a tensor [batch, heads, rows, size], or [batch, rows, n·size]; or,
// swapped, [batch, rows, heads, size]. ok is false if the shape does not fit.
func headsOf(t *Tensor, n int64, swapped bool) (h heads, ok bool) {
	s := t.Shape
	switch {
	case len(s) == 4 && swapped:
		h = heads{batch: int(s[0]), rows: int(s[1]), heads: int(s[2]), size: int(s[3])}
	case len(s) == 4:
		h = heads{batch: int(s[0]), heads: int(s[1]), rows: int(s[2]), size: int(s[3])}
		h.rowStep, h.headStep = h.size, h.rows*h.size
	case len(s) == 3 && n > 0 && s[2]%n == 0:
		h = heads{batch: int(s[0]), rows: int(s[1]), heads: int(n), size: int(s[2] / n)}
		swapped = true
	default:
		return h, false
	}
	if swapped {
		h.rowStep, h.headStep = h.heads*h.size, h.size
	}
	h.batchStep = h.heads * h.rows * h.size
	return h, true
}

// extents returns the heads without their steps.
func (h heads) extents() [4]int { return [4]int{h.batch, h.heads, h.rows, h.size} }

// swapsHeads reports whether a node is a Transpose that takes [batch, rows, heads,
// size] to [batch, heads, rows, size] or back, of a value that nobody else reads.
func swapsHeads(n *graph.Node) bool {
	return n.Is("Transpose") && slices.Equal(n.Ints("perm"), []int64{0, 2, 1, 3}) && isTensor(n.In(0)) && len(n.Inputs[0].Type.Shape) == 4
}

// turns is kernels/rope.cl's Turns.
type turns struct {
	Rows, Heads, Size, Half, Interleaved, Places int32
	XBatch, XRow, XHead, YBatch, YRow, YHead     int32
}

// lowerRope covers RotaryEmbedding with angles for every row, or a table and positions,
// and a Transpose before it that brings the heads in front of the rows.
func lowerRope(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("RotaryEmbedding") || !areFloats(n.In(0)) || !areFloats(n.In(1), n.In(2)) || n.In(3) != nil && !isIndex(n.In(3)) {
		return Group{}, false
	}
	if rank := len(n.Inputs[0].Type.Shape); rank != 3 && rank != 4 {
		return Group{}, false
	}
	count, turned, interleaved := n.Int("num_heads", 0), int(n.Int("rotary_embedding_dim", 0)), n.Int("interleaved", 0) != 0
	g, swapped := single(n), false
	if before := n.Inputs[0].Def; swapsHeads(before) && len(uses[n.Inputs[0]]) == 1 {
		g.Name, g.Nodes, swapped = "Transpose+"+g.Name, []*graph.Node{before, n}, true
		g.In = slices.Clone(g.In)
		g.In[0] = before.Inputs[0]
	}
	g.Record = func(r *Recorder) error {
		x, cosines, sines, at, y := r.In[0], r.In[1], r.In[2], r.Optional(3), r.Out[0]
		from, ok1 := headsOf(x, count, swapped)
		to, ok2 := headsOf(y, count, false)
		half := cosines.At(-1)
		if !ok1 || !ok2 || from.extents() != to.extents() || 2*half > from.size || turned != 0 && turned/2 != half || turned == 0 && half != from.size/2 ||
			!slices.Equal(cosines.Shape, sines.Shape) {
			return r.mismatch(x, cosines, sines, at, y)
		}
		rows := from.batch * from.rows
		places := rows
		if at != nil {
			places = cosines.At(0)
		}
		if at != nil && (at.Len() != rows || len(cosines.Shape) != 2) || at == nil && cosines.Len() != rows*half {
			return r.mismatch(x, cosines, sines, at, y)
		}
		each := rows * from.heads * (from.size - half)
		t := turns{Rows: int32(from.rows), Heads: int32(from.heads), Size: int32(from.size), Half: int32(half), Places: int32(places),
			XBatch: int32(from.batchStep), XRow: int32(from.rowStep), XHead: int32(from.headStep),
			YBatch: int32(to.batchStep), YRow: int32(to.rowStep), YHead: int32(to.headStep)}
		if interleaved {
			t.Interleaved = 1
		}
		return r.Launch("rope", "rope", over(each), wide, x, typeOf(x), cosines, sines, typeOf(cosines), at, typeOf(at), y, each, t)
	}
	return g, true
}
