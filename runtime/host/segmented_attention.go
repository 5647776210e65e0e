package host

import (
	"fmt"
	"math"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// segmentedAttention is mnnconv.SegmentedAttention: each token of [tokens,
// heads, size] attends to the tokens of its segment.
type segmentedAttention struct {
	attend
	kvHeads int
	runs    []tokenRun
	units   cut // of runs, once for each key head
}

// tokenRun is a run of at most rowsAtOnce tokens, from first on, of the segment
// start to end.
type tokenRun struct{ first, rows, start, end int }

// lowerSegmentedAttention covers SegmentedAttention of floats.
func lowerSegmentedAttention(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if n.Domain != op.Mnnconv || n.Op != "SegmentedAttention" || !areFloats(n.In(0), n.In(1), n.In(2)) || !isIndex(n.Inputs[3]) {
		return Group{}, false
	}
	given, factor := n.Has("scale"), n.Float("scale", 1)
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[segmentedAttention](c)
		if err := k.bind(c); err != nil {
			return err
		}
		if k.scale = factor; !given {
			k.scale = float32(1 / math.Sqrt(float64(k.size)))
		}
		return c.Run(k.units.parts(), k)
	}
	return g, true
}

// bind reads the shapes and the boundaries.
func (k *segmentedAttention) bind(c *Call) error {
	q, x, v := c.In[0].Shape, c.In[1].Shape, c.In[2].Shape
	if len(q) != 3 || len(x) != 3 || len(v) != 3 || x[0] != q[0] || v[0] != q[0] || x[1] < 1 || x[1] != v[1] || q[1]%x[1] != 0 || x[2] != q[2] || v[2] != q[2] {
		return fmt.Errorf("%w: attention of %s over keys %s and values %s", op.ErrInput, c.In[0].Type(), c.In[1].Type(), c.In[2].Type())
	}
	heads, size := int(q[1]), int(q[2])
	k.kvHeads = int(x[1])
	many, few := steps{row: heads * size, head: size}, steps{row: k.kvHeads * size, head: size}
	k.attend = attend{
		q: c.In[0], k: keptVectors{Tensor: c.In[1]}, v: keptVectors{Tensor: c.In[2]}, y: c.Out[0], qAt: many, kAt: few, vAt: few, yAt: many,
		size: size, width: size, group: heads / k.kvHeads,
	}
	cu, tokens := c.In[3], int(q[0])
	k.many = tokens > manyDots
	n := cu.Len()
	if n == 0 || intAt(cu, 0) != 0 || intAt(cu, n-1) != tokens {
		return fmt.Errorf("%w: cu_seqlens of shape %v does not go from 0 to %d tokens", op.ErrInput, cu.Shape, tokens)
	}
	k.runs = k.runs[:0]
	together, work := k.rowsAtOnce(), 0
	for i := range n - 1 {
		start, end := intAt(cu, i), intAt(cu, i+1)
		if end < start || end > tokens {
			return fmt.Errorf("%w: cu_seqlens goes from %d to %d of %d tokens", op.ErrInput, start, end, tokens)
		}
		for first := start; first < end; first += together {
			r := tokenRun{first, min(together, end-first), start, end}
			k.runs = append(k.runs, r)
			work += k.cost(r.rows, end-start)
		}
	}
	k.units = cutBy(len(k.runs)*k.kvHeads, work/max(1, len(k.runs)))
	return nil
}

// Part implements [Parts].
func (k *segmentedAttention) Part(w *Worker, i int) {
	from, to := k.units.part(i)
	for u := from; u < to; u++ { // the runs of one head follow each other: they share its keys
		r, head := k.runs[u%len(k.runs)], u/len(k.runs)
		k.run(w, stretch{
			q:    r.first*k.qAt.row + head*k.group*k.qAt.head,
			k:    r.start*k.kAt.row + head*k.kAt.head,
			v:    r.start*k.vAt.row + head*k.vAt.head,
			y:    r.first*k.yAt.row + head*k.group*k.yAt.head,
			rows: r.rows,
			most: r.end - r.start,
		})
	}
}
