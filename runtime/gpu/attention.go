package gpu

import (
	"math"
	"slices"
	"strconv"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// attending is kernels/attention.cl's Heads.
type attending struct {
	Rows, Group, KVHeads, Keys, Size, Width int32
	QBatch, QRow, QHead                     int32
	KBatch, KRow, KHead                     int32
	VBatch, VRow, VHead                     int32
	YBatch, YRow, YHead                     int32
	Causal, Lengths, Segments, Bounds       int32
	Split, Splits                           int32
	Scale                                   float32
}

// What kernels/attention.cl is made for.
const (
	attendVectors = 16
	attendSize    = 128
	attendWidth   = 256 // of a head, at most
	// attendSplit is how many keys one group looks at where there are few queries: the
	// device is kept busy by the keys then.
	attendSplit = 64
)

// lowerAttention covers Attention over all keys, or over a cache of which
// nonpad_kv_seqlen[b] rows count, causal or not; without mask, past, window, softcap and
// outputs beside the first. A Transpose behind it that brings the rows in front of the
// heads is covered too, and one before the queries.
func lowerAttention(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	last := n
	if swapsHeads(n) && n.Inputs[0].Def.Is("Attention") && len(uses[n.Inputs[0]]) == 1 {
		n = n.Inputs[0].Def
	}
	if !attends(n) {
		return Group{}, false
	}
	g, swappedY, swappedQ := single(n), last != n, false
	if swappedY {
		g.Name, g.Nodes, g.Out = g.Name+"+Transpose", []*graph.Node{n, last}, last.Outputs
	}
	if before := n.Inputs[0].Def; len(n.Inputs[0].Type.Shape) == 4 && swapsHeads(before) && len(uses[n.Inputs[0]]) == 1 {
		g.Name, g.Nodes, swappedQ = "Transpose+"+g.Name, append([]*graph.Node{before}, g.Nodes...), true
		g.In = slices.Clone(g.In)
		g.In[0] = before.Inputs[0]
	}
	qHeads, kvHeads := n.Int("q_num_heads", 0), n.Int("kv_num_heads", 0)
	causal, given, factor := n.Int("is_causal", 0) != 0, n.Has("scale"), n.Float("scale", 1)
	g.Record = func(r *Recorder) error {
		q, ok1 := headsOf(r.In[0], qHeads, swappedQ)
		k, ok2 := headsOf(r.In[1], kvHeads, false)
		v, ok3 := headsOf(r.In[2], kvHeads, false)
		y, ok4 := headsOf(r.Out[0], qHeads, swappedY)
		lengths := r.Optional(6)
		switch {
		case !ok1 || !ok2 || !ok3 || !ok4 || k.heads < 1 || q.heads%k.heads != 0,
			k.extents() != [4]int{q.batch, k.heads, k.rows, q.size}, v.extents() != [4]int{q.batch, k.heads, k.rows, v.size},
			y.extents() != [4]int{q.batch, q.heads, q.rows, v.size}, lengths != nil && lengths.Len() != q.batch:
			return r.mismatch(append(slices.Clone(r.In), r.Out...)...)
		}
		h := attending{Causal: flag(causal), Lengths: int32(typeOf(lengths)), Scale: factor}
		if !given {
			h.Scale = float32(1 / math.Sqrt(float64(q.size)))
		}
		return r.attend(h, q, k, v, y, lengths)
	}
	return g, true
}

// attends reports whether the kernel computes an Attention node.
func attends(n *graph.Node) bool {
	switch {
	case !n.Is("Attention") || !areFloats(n.In(0), n.In(1), n.In(2)) || !isTensor(n.Out(0)):
		return false
	case n.In(3) != nil || n.In(4) != nil || n.In(5) != nil || n.Out(1) != nil || n.Out(2) != nil || n.Out(3) != nil:
		return false
	case n.Float("softcap", 0) > 0 || n.Int("left_window_size", -1) >= 0 || n.Int("right_window_size", -1) >= 0:
		return false
	case n.Int("softmax_precision", 0) == int64(graph.Float64) || n.In(6) != nil && !isIndex(n.In(6)):
		return false
	}
	rank := len(n.Inputs[0].Type.Shape)
	if rank != 3 && rank != 4 || len(n.Inputs[1].Type.Shape) != rank || len(n.Inputs[2].Type.Shape) != rank {
		return false
	}
	for i, count := range []string{"q_num_heads", "kv_num_heads", "kv_num_heads"} {
		size, ok := n.Inputs[i].Type.Shape[rank-1].Int()
		if rank == 3 {
			size /= max(1, n.Int(count, 0))
		}
		if !ok || size > attendWidth {
			return false
		}
	}
	return true
}

// lowerSegmentedAttention covers mnnconv.SegmentedAttention: each token of [tokens,
// heads, size] attends to the tokens of its segment.
func lowerSegmentedAttention(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if n.Domain != op.Mnnconv || n.Op != "SegmentedAttention" || !areFloats(n.In(0), n.In(1), n.In(2)) || !isIndex(n.In(3)) || len(n.Inputs[0].Type.Shape) != 3 {
		return Group{}, false
	}
	if size, ok := n.Inputs[0].Type.Shape[2].Int(); !ok || size > attendWidth {
		return Group{}, false
	}
	given, factor := n.Has("scale"), n.Float("scale", 1)
	g := single(n)
	g.Record = func(r *Recorder) error {
		of := func(t *Tensor) heads {
			h := heads{batch: 1, rows: t.At(0), heads: t.At(1), size: t.At(2)}
			h.rowStep, h.headStep = h.heads*h.size, h.size
			return h
		}
		q, k, v, y, cu := of(r.In[0]), of(r.In[1]), of(r.In[2]), of(r.Out[0]), r.In[3]
		if q.extents() != y.extents() || k.extents() != v.extents() || k.rows != q.rows || k.size != q.size || k.heads < 1 || q.heads%k.heads != 0 || cu.Len() == 0 {
			return r.mismatch(append(slices.Clone(r.In), r.Out...)...)
		}
		h := attending{Segments: int32(typeOf(cu)), Bounds: int32(cu.Len()), Scale: factor}
		if !given {
			h.Scale = float32(1 / math.Sqrt(float64(q.size)))
		}
		return r.attend(h, q, k, v, y, cu)
	}
	return g, true
}

// attend records attention of q over k and v. at are lengths of sequences or boundaries
// of segments.
func (r *Recorder) attend(h attending, q, k, v, y heads, at *Tensor) error {
	if q.batch*q.heads*q.rows*v.size == 0 {
		return nil
	}
	h.Rows, h.Group, h.KVHeads, h.Keys, h.Size, h.Width = int32(q.rows), int32(q.heads/k.heads), int32(k.heads), int32(k.rows), int32(q.size), int32(v.size)
	h.QBatch, h.QRow, h.QHead = int32(q.batchStep), int32(q.rowStep), int32(q.headStep)
	h.KBatch, h.KRow, h.KHead = int32(k.batchStep), int32(k.rowStep), int32(k.headStep)
	h.VBatch, h.VRow, h.VHead = int32(v.batchStep), int32(v.rowStep), int32(v.headStep)
	h.YBatch, h.YRow, h.YHead = int32(y.batchStep), int32(y.rowStep), int32(y.headStep)
	h.Splits = 1
	vectors := q.rows * q.heads / k.heads
	pairs := q.batch * k.heads
	var parts *Tensor
	if h.Segments == 0 && q.batch*q.rows <= few {
		h.Split = attendSplit
		h.Splits = int32(max(1, ceil(k.rows, attendSplit)))
		var err error
		if parts, err = r.Scratch(graph.Float32, pairs*vectors*int(h.Splits)*(v.size+2)); err != nil {
			return err
		}
	}
	module := attentionModule(r.Out[0].DType)
	dense := r.denseHeads(q, k, v, y)
	if h.Split > 0 && dense && (q.size == 32 || q.size == 64 || q.size == 128) {
		return r.Launch(decodeModule(r.Out[0].DType), "decode"+strconv.Itoa(q.size), [3]int{vectors, pairs, int(h.Splits)}, wide,
			r.In[0], r.In[1], r.In[2], at, r.Out[0], parts, r.Counts(pairs*vectors), h)
	}
	in, kernel, tile, size := module, "attend", attendVectors, attendSize
	if dense && (q.size == 32 || q.size == 64 || q.size == 80 || q.size == 128) {
		in, kernel, tile, size = flashModule(r.Out[0].DType), "flash"+strconv.Itoa(q.size), flashVectors, wide
	}
	err := r.Launch(in, kernel, [3]int{ceil(vectors, tile), pairs, int(h.Splits)}, size, r.In[0], r.In[1], r.In[2], at, r.Out[0], parts, h)
	if err != nil || h.Split == 0 {
		return err
	}
	return r.Launch(module, "combine", [3]int{vectors, pairs, 1}, attendSize, at, r.Out[0], parts, h)
}

// flashVectors is how many vectors a group of kernels/flash.cl has.
const flashVectors = 128

// denseHeads reports whether the kernels of flash.cl and decode.cl may read attention's
// tensors: of one 16-bit type, their vectors of one size at multiples of 16 bytes, on
// processors with tensor cores.
func (r *Recorder) denseHeads(q, k, v, y heads) bool {
	if !r.limits.Tensor || r.Out[0].DType.Bits() != 16 || q.size != v.size {
		return false
	}
	for _, x := range []heads{q, k, v, y} {
		if x.batchStep%8 != 0 || x.rowStep%8 != 0 || x.headStep%8 != 0 {
			return false
		}
	}
	return true
}

func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
