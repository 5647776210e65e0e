package host

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// topK is ONNX TopK of the few largest along the last axis: those of a row of logits.
// Rows are taken in blocks. The K-th largest of the blocks' largest is a bound that K
// elements reach, so only blocks whose largest reaches it are looked at closely, some
// K of thousands.
type topK struct {
	x, y, at *graph.Tensor // y, at: nil where not wanted
	width    int
	blocks   int // of a row
	k        int
	largest  []float32 // of each block of each row; +Inf with a NaN
	order    []int64   // of each row, the indexes of its K best
	cut      cut       // of all blocks
	rows     topRows
}

// topRows are the rows of a topK whose blocks are known.
type topRows struct{ *topK }

const (
	topBlock = 64
	// mostTop bounds K: the ranking is a sorted list.
	mostTop = 256
)

// lowerTopK covers TopK of a few of the largest elements of rows.
func lowerTopK(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("TopK") || n.Version < 10 || !areFloats(n.In(0)) || n.Int("largest", 1) == 0 || n.In(1) == nil || n.Inputs[1].Const == nil {
		return Group{}, false
	}
	axis, last := n.Int("axis", -1), int64(len(n.Inputs[0].Type.Shape)-1)
	if last < 0 || axis != -1 && axis != last {
		return Group{}, false
	}
	if k := intAt(n.Inputs[1].Const, 0); k < 1 || k > mostTop {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[topK](c)
		k.x, k.y, k.at = c.In[0], c.Out[0], nil
		if len(c.Out) > 1 {
			k.at = c.Out[1]
		}
		k.width, k.k = int(k.x.Shape[last]), intAt(c.In[1], 0)
		k.blocks = (k.width + topBlock - 1) / topBlock
		rows := 0
		if k.width > 0 {
			rows = k.x.Len() / k.width
		}
		k.largest = slices.Grow(k.largest[:0], rows*k.blocks)[:rows*k.blocks]
		k.order = slices.Grow(k.order[:0], rows*k.k)[:rows*k.k]
		k.cut = cutBy(len(k.largest), topBlock/4)
		if err := c.Run(k.cut.parts(), k); err != nil {
			return err
		}
		k.rows.topK = k
		return c.Run(rows, &k.rows)
	}
	return g, true
}

// Part implements [Parts]: it finds the largest of some blocks.
func (k *topK) Part(w *Worker, i int) {
	buf := w.Floats(topBlock)
	from, to := k.cut.part(i)
	for b := from; b < to; b++ {
		x := k.block(b/k.blocks, b%k.blocks, buf)
		k.largest[b] = vectors.Largest(x, float32(math.Inf(-1)))
		if s := vectors.SumSquares(x); s != s {
			k.largest[b] = float32(math.Inf(1))
		}
	}
}

// block returns the elements of a block of a row.
func (k *topK) block(row, b int, buf []float32) []float32 {
	n := min(topBlock, k.width-b*topBlock)
	return floatsOf(k.x, row*k.width+b*topBlock, buf[:n])
}

// Part implements [Parts]: it ranks row i.
func (k topRows) Part(w *Worker, i int) {
	order := k.order[i*k.k:][:k.k]
	if k.blocks >= k.k || !k.narrow(w, i, order) {
		k.ranked(w, i, order)
	}
	if k.at != nil {
		copy(graph.View[int64](k.at)[i*k.k:][:k.k], order)
	}
	if k.y == nil {
		return
	}
	size := k.x.DType.Bits() / 8 // as they are stored, NaN too
	for j, at := range order {
		copy(k.y.Data[(i*k.k+j)*size:][:size], k.x.Data[(i*k.width+int(at))*size:])
	}
}

// ranked ranks row i one number after the other, but for blocks below the bound.
func (k topRows) ranked(w *Worker, i int, order []int64) {
	buf := w.Floats(topBlock + k.k)
	best := ranking{values: buf[topBlock:topBlock], at: order[:0:k.k]}
	largest := k.largest[i*k.blocks:][:k.blocks]
	least := float32(math.Inf(-1))
	if k.blocks >= k.k {
		for b, v := range largest {
			best.add(v, int64(b))
		}
		least = best.values[k.k-1]
		best.values, best.at = best.values[:0], best.at[:0]
	}
	for b, v := range largest {
		if v < least {
			continue
		}
		for j, v := range k.block(i, b, buf[:topBlock]) {
			best.add(v, int64(b*topBlock+j))
		}
	}
}

// ranking holds the largest numbers seen, the largest first, and where they were. It
// is full at its capacity. NaN counts as the largest; of equal ones the first stays.
type ranking struct {
	values []float32
	at     []int64
}

func (r *ranking) add(v float32, at int64) {
	n := len(r.values)
	if n == cap(r.at) {
		if !above(v, r.values[n-1]) {
			return
		}
	} else {
		n++
		r.values, r.at = r.values[:n], r.at[:n]
	}
	from, to := 0, n-1 // its place is behind all that it is not above
	for from < to {
		if m := (from + to) / 2; above(v, r.values[m]) {
			to = m
		} else {
			from = m + 1
		}
	}
	copy(r.values[from+1:], r.values[from:])
	copy(r.at[from+1:], r.at[from:])
	r.values[from], r.at[from] = v, at
}

func above(a, b float32) bool { return a > b || a != a && b == b }
