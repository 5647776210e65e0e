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

// rope is what a RotaryEmbedding says, with a Transpose before it.
type rope struct {
	count                int64 // of heads, where the shape does not tell
	turned               int
	interleaved, swapped bool
}

// lowerRope covers RotaryEmbedding with angles for every row, or a table and positions,
// and a Transpose before it that brings the heads in front of the rows.
func lowerRope(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	p, g, ok := ropeOf(n, uses)
	g.Record = func(r *Recorder) error {
		x, cosines, sines, at, y := r.In[0], r.In[1], r.In[2], r.Optional(3), r.Out[0]
		to, ok := headsOf(y, p.count, false)
		t, each, fits := p.turns(r, to)
		if !ok || !fits {
			return r.mismatch(x, cosines, sines, at, y)
		}
		return r.Launch("rope", "rope", over(each), wide, x, typeOf(x), cosines, sines, typeOf(cosines), at, typeOf(at), y, each, t)
	}
	return g, ok
}

// ropeOf returns what lowerRope covers, without its launch.
func ropeOf(n *graph.Node, uses map[*graph.Value][]graph.Use) (p rope, g Group, ok bool) {
	if !n.Is("RotaryEmbedding") || !areFloats(n.In(0)) || !areFloats(n.In(1), n.In(2)) || n.In(3) != nil && !isIndex(n.In(3)) {
		return p, g, false
	}
	if rank := len(n.Inputs[0].Type.Shape); rank != 3 && rank != 4 {
		return p, g, false
	}
	p = rope{count: n.Int("num_heads", 0), turned: int(n.Int("rotary_embedding_dim", 0)), interleaved: n.Int("interleaved", 0) != 0}
	g = single(n)
	if before := n.Inputs[0].Def; swapsHeads(before) && len(uses[n.Inputs[0]]) == 1 {
		g.Name, g.Nodes, p.swapped = "Transpose+"+g.Name, []*graph.Node{before, n}, true
		g.In = slices.Clone(g.In)
		g.In[0] = before.Inputs[0]
	}
	return p, g, true
}

// turns returns how the vectors of a rope's input lie beside those of to, and of how many
// work-items that is; ok is false where shapes do not go together.
func (p *rope) turns(r *Recorder, to heads) (t turns, n int, ok bool) {
	x, cosines, sines, at := r.In[0], r.In[1], r.In[2], r.Optional(3)
	from, ok := headsOf(x, p.count, p.swapped)
	half := cosines.At(-1)
	if !ok || from.extents() != to.extents() || 2*half > from.size || p.turned != 0 && p.turned/2 != half || p.turned == 0 && half != from.size/2 ||
		!slices.Equal(cosines.Shape, sines.Shape) {
		return t, 0, false
	}
	rows := from.batch * from.rows
	places := rows
	if at != nil {
		places = cosines.At(0)
	}
	if at != nil && (at.Len() != rows || len(cosines.Shape) != 2) || at == nil && cosines.Len() != rows*half {
		return t, 0, false
	}
	t = newTurns(from, to)
	t.Half, t.Places, t.Interleaved = int32(half), int32(places), flag(p.interleaved)
	return t, rows * from.heads * (from.size - half), true
}

// newTurns lays vectors beside each other.
func newTurns(from, to heads) turns {
	return turns{Rows: int32(from.rows), Heads: int32(from.heads), Size: int32(from.size),
		XBatch: int32(from.batchStep), XRow: int32(from.rowStep), XHead: int32(from.headStep),
		YBatch: int32(to.batchStep), YRow: int32(to.rowStep), YHead: int32(to.headStep)}
}
