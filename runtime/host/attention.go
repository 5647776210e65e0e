package host

import (
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// attention is ONNX Attention of queries over all keys, of which with is_causal
// query i sees the first i+1; or over a cache of which the first
// nonpad_kv_seqlen[b] rows count, and there is_causal lets the last query see all
// of those, and each one before it one less.
type attention struct {
	attend
	lengths             []int64 // nil: all keys
	qBatch, kBatch      int     // elements of one sequence
	vBatch, yBatch      int
	batches             int
	kvHeads, rows, keys int
	few                 attendFew // of up to 16 rows
	together, stretches int       // rows in a stretch, stretches in a head
	units               cut       // of stretches
}

// lowerAttention covers Attention without mask, past, window, softcap and
// outputs beside the first; of keys and values that are cast or dequantised for it from
// a state, or from elsewhere, with what does that: they are read as they are stored.
func lowerAttention(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	switch {
	case !n.Is("Attention") || !areFloats(n.In(0), n.In(1), n.In(2)):
		return Group{}, false
	case n.In(3) != nil || n.In(4) != nil || n.In(5) != nil || n.Out(1) != nil || n.Out(2) != nil || n.Out(3) != nil:
		return Group{}, false
	case n.Float("softcap", 0) > 0 || n.Int("left_window_size", -1) >= 0 || n.Int("right_window_size", -1) >= 0:
		return Group{}, false
	case n.Int("softmax_precision", 0) == int64(graph.Float64):
		return Group{}, false
	case n.In(6) != nil && n.In(6).Type.DType != graph.Int64:
		return Group{}, false
	}
	rank := len(n.Inputs[0].Type.Shape)
	if rank != 3 && rank != 4 || len(n.Inputs[1].Type.Shape) != rank || len(n.Inputs[2].Type.Shape) != rank {
		return Group{}, false
	}
	qHeads, kvHeads := n.Int("q_num_heads", 0), n.Int("kv_num_heads", 0)
	causal, given, factor := n.Int("is_causal", 0) != 0, n.Has("scale"), n.Float("scale", 1)
	g := single(n)
	g.In = slices.Clone(n.Inputs)
	for i, v := range n.Inputs[1:3] {
		from := readAs(v, uses)
		if g.In[1+i] = from.numbers; from.scales != nil {
			g.In = append(g.In, make([]*graph.Value, scalesAt+2-len(g.In))...)
			g.In[scalesAt+i] = from.scales
		}
		g.Nodes = append(from.nodes, g.Nodes...)
		if len(from.nodes) > 0 {
			g.Name = from.nodes[0].Op + "·Attention"
		}
	}
	g.Kernel = func(c *Call) error {
		k := memo[attention](c)
		if err := k.bind(c, qHeads, kvHeads); err != nil {
			return err
		}
		k.causal, k.scale = causal, factor
		if !given {
			k.scale = float32(1 / math.Sqrt(float64(k.size)))
		}
		if !k.many {
			return k.runFew(c)
		}
		return c.Run(k.units.parts(), k)
	}
	return g, true
}

// scalesAt is the first of the kernel's inputs behind those of the operator: scales of
// keys and of values.
const scalesAt = 7

// storedVectors is what keys or values are read from, and the nodes that are not needed then.
type storedVectors struct {
	numbers, scales *graph.Value // scales is nil where numbers are floats
	nodes           []*graph.Node
}

// readAs follows a value that nobody else reads to where it is stored.
func readAs(v *graph.Value, uses map[*graph.Value][]graph.Use) storedVectors {
	s := storedVectors{numbers: v}
	if d := v.Def; d.Is("Cast") && areFloats(d.Inputs[0]) && len(uses[v]) == 1 {
		s = storedVectors{numbers: d.Inputs[0], nodes: []*graph.Node{d}}
	}
	if d := s.numbers.Def; d.Is("DequantizeLinear") && len(uses[s.numbers]) == 1 && inVectors(d) {
		s = storedVectors{numbers: d.Inputs[0], scales: d.Inputs[1], nodes: append([]*graph.Node{d}, s.nodes...)}
	}
	return s
}

// inVectors reports whether a node takes int8 codes [batch, heads, rows, size] with a
// float32 scale for each vector and no zero points.
func inVectors(n *graph.Node) bool {
	codes, scales := n.Inputs[0].Type, n.Inputs[1].Type
	if codes.Kind != graph.TensorKind || codes.DType != graph.Int8 || scales.DType != graph.Float32 || len(codes.Shape) != 4 || len(scales.Shape) != 4 || n.In(2) != nil {
		return false
	}
	axis, _ := axisOf(n.Int("axis", 1), 4)
	width, known := codes.Shape[3].Int()
	return known && axis == 3 && width > 0 && n.Int("block_size", 0) == width
}

// bind reads the shapes.
func (k *attention) bind(c *Call, qHeads, kvHeads int64) error {
	k.attend, k.lengths = attend{q: c.In[0], k: keptVectors{Tensor: c.In[1]}, v: keptVectors{Tensor: c.In[2]}, y: c.Out[0]}, nil
	q, qAt := headsOf(k.q, qHeads)
	x, kAt := headsOf(k.k.Tensor, kvHeads)
	v, vAt := headsOf(k.v.Tensor, kvHeads)
	y, yAt := headsOf(k.y, qHeads)
	switch {
	case x.heads < 1 || q.heads%x.heads != 0 || x != (heads{q.batch, x.heads, x.rows, q.size}) || v != (heads{q.batch, x.heads, x.rows, v.size}):
		return fmt.Errorf("%w: attention of %s over keys %s and values %s", op.ErrInput, k.q.Type(), k.k.Type(), k.v.Type())
	case y != heads{q.batch, q.heads, q.rows, v.size}:
		return fmt.Errorf("%w: attention of %s over values %s gives no %s", op.ErrInput, k.q.Type(), k.v.Type(), k.y.Type())
	}
	for i, t := range []*keptVectors{&k.k, &k.v} {
		if t.DType != graph.Int8 {
			continue
		}
		scales := c.In[scalesAt+i]
		if t.scales = graph.View[float32](scales); len(t.scales) != x.batch*x.heads*x.rows {
			return fmt.Errorf("%w: %d scales for attention over %s", op.ErrInput, len(t.scales), t.Type())
		}
	}
	if lengths := c.optional(6); lengths != nil {
		k.lengths = graph.View[int64](lengths)
		if len(k.lengths) != q.batch {
			return fmt.Errorf("%w: %d lengths for %d sequences", op.ErrInput, len(k.lengths), q.batch)
		}
		for _, l := range k.lengths {
			if l < 0 || l > int64(x.rows) {
				return fmt.Errorf("%w: length %d of a cache of %d rows", op.ErrInput, l, x.rows)
			}
		}
	}
	k.qAt, k.kAt, k.vAt, k.yAt = qAt, kAt, vAt, yAt
	k.qBatch, k.kBatch, k.vBatch, k.yBatch = q.elements(), x.elements(), v.elements(), y.elements()
	k.size, k.width, k.group = q.size, v.size, q.heads/x.heads
	k.batches, k.kvHeads, k.rows, k.keys = q.batch, x.heads, q.rows, x.rows
	k.many = k.rows > manyDots
	k.together = k.rowsAtOnce()
	k.stretches = (k.rows + k.together - 1) / k.together
	k.units = cutBy(q.batch*k.kvHeads*k.stretches, k.cost(min(k.rows, k.together), k.keys))
	return nil
}

// heads are the extents of a tensor of attention heads.
type heads struct{ batch, heads, rows, size int }

func (h heads) elements() int { return h.heads * h.rows * h.size }

// headsOf returns the extents of a tensor [batch, heads, rows, size], or [batch,
// rows, n·size], and how its vectors lie. No heads: the shape does not fit.
func headsOf(t *graph.Tensor, n int64) (heads, steps) {
	s := t.Shape
	if len(s) == 4 {
		h := heads{int(s[0]), int(s[1]), int(s[2]), int(s[3])}
		return h, steps{row: h.size, head: h.rows * h.size}
	}
	if n < 1 || s[2]%n != 0 {
		return heads{}, steps{}
	}
	h := heads{int(s[0]), int(n), int(s[1]), int(s[2] / n)}
	return h, steps{row: h.heads * h.size, head: h.size}
}

// at returns where the vectors of a head of keys start, and those of its queries.
func (k *attention) at(b, head int) stretch {
	return stretch{
		q: b*k.qBatch + head*k.group*k.qAt.head,
		k: b*k.kBatch + head*k.kAt.head,
		v: b*k.vBatch + head*k.vAt.head,
		y: b*k.yBatch + head*k.group*k.yAt.head,
	}
}

// Part implements [Parts].
func (k *attention) Part(w *Worker, i int) {
	from, to := k.units.part(i)
	for u := from; u < to; u++ {
		row := u % k.stretches * k.together
		head := u / k.stretches % k.kvHeads
		b := u / k.stretches / k.kvHeads
		s := k.at(b, head)
		s.q += row * k.qAt.row
		s.y += row * k.yAt.row
		s.rows, s.keys, s.most = min(k.together, k.rows-row), row+1, k.keys
		if k.lengths != nil {
			s.most = int(k.lengths[b])
			s.keys += s.most - k.rows
		}
		k.run(w, s)
	}
}
