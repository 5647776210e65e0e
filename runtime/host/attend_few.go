package host

import (
	"math"
	"sync/atomic"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
)

// attendFew is attention of up to 16 query rows, those of a step, which takes as long
// as reading keys and values does. So these are read as they are stored, once for
// all heads that share them, and cut into spans, each a part: there may be fewer key
// heads than processors. The last span of a head to end joins what all of them gave
// (Dao et al., "Flash-Decoding for long-context inference", 2023). Where keys are cut
// does not depend on anything: a query has the same bits on any number of processors
// and among any others.
type attendFew struct {
	*attention
	spans   int            // of the longest sequence
	left    []atomic.Int32 // spans of each head of keys that have not ended
	partial []float32      // of each span what it leaves for each vector: see span
}

// spanKeys is how many keys are a part.
const spanKeys = 128

// runFew computes all queries.
func (k *attention) runFew(c *Call) error {
	f := &k.few
	f.attention = k
	heads, most := k.batches*k.kvHeads, 0
	for b := range k.batches {
		most = max(most, k.length(b))
	}
	f.spans = max(1, ceil(most, spanKeys))
	if len(f.left) < heads {
		f.left = make([]atomic.Int32, heads)
	}
	for i := range heads {
		f.left[i].Store(int32(f.spans))
	}
	f.partial = nil
	if f.spans > 1 {
		f.partial = graph.ViewBytes[float32](c.shared(4 * heads * f.spans * f.leaves()))
	}
	return c.Run(heads*f.spans, f)
}

// length returns how many keys of a sequence count.
func (k *attention) length(b int) int {
	if k.lengths == nil {
		return k.keys
	}
	return int(k.lengths[b])
}

// leaves returns how many numbers a span leaves: for each vector of queries its
// largest score, the sum of its weights and, width numbers, the weighted values.
func (f *attendFew) leaves() int { return f.rows * f.group * (f.width + 2) }

// Part implements [Parts].
func (f *attendFew) Part(w *Worker, i int) {
	head, span := i/f.spans, i%f.spans
	b, n := head/f.kvHeads, f.rows*f.group
	if f.spans == 1 {
		rest := w.Floats(f.leaves() + f.scratch())
		f.span(rest[:f.leaves()], rest[f.leaves():], head, 0)
		f.store(rest[:f.leaves()], head)
		return
	}
	all := f.partial[head*f.spans*f.leaves():][:f.spans*f.leaves()]
	if span*spanKeys < f.length(b) {
		f.span(all[span*f.leaves():][:f.leaves()], w.Floats(f.scratch()), head, span)
	}
	if f.left[head].Add(-1) > 0 {
		return
	}
	total, used := w.Floats(f.leaves()+f.width), ceil(f.length(b), spanKeys)
	total, y := total[:f.leaves()], total[f.leaves():]
	clear(total)
	for j := range n {
		top := float32(math.Inf(-1))
		for s := range used {
			top = max(top, all[s*f.leaves()+j])
		}
		if math.IsInf(float64(top), -1) {
			top = 0 // every key is hidden
		}
		for s := range used {
			part := all[s*f.leaves():][:f.leaves()]
			by := simd.Exp(part[j] - top)
			total[n+j] += float32(by * part[n+j])
			vectors.Scale(y, part[2*n+j*f.width:][:f.width], by)
			add(total[2*n+j*f.width:][:f.width], y)
		}
	}
	f.store(total, head)
}

// scratch returns how many numbers span needs.
func (f *attendFew) scratch() int {
	return f.rows*f.group*(f.size+spanKeys) + spanKeys*max(f.size, f.width)
}

// span stores what a span of keys gives for the queries of a head of keys: for all
// vectors their largest scores, then the sums of their weights relative to these, then
// the values, weighted.
func (f *attendFew) span(out, scratch []float32, head, span int) {
	b, n, from := head/f.kvHeads, f.rows*f.group, span*spanKeys
	most := f.length(b)
	keys := min(spanKeys, most-from)
	at := f.at(b, head%f.kvHeads)
	q, scratch := panelOf(scratch[:n*f.size], f.size), scratch[n*f.size:]
	for i := range n {
		loadFloats(q.Row(i, f.size), f.q.DType, f.q.Data, at.q+i/f.group*f.qAt.row+i%f.group*f.qAt.head)
	}
	scores, wide := panelOf(scratch[:n*spanKeys], spanKeys), scratch[n*spanKeys:]
	clear(scores.At)
	f.dots(scores, q, wide, at.k+from*f.kAt.row, n, keys)
	tops, sums, y := out[:n], out[n:2*n], panelOf(out[2*n:], f.width)
	clear(out)
	for first := 0; first < f.rows; { // rows that see as much go together
		see := f.sees(first, most) - from
		rows := 1
		for ; first+rows < f.rows && (see >= keys || f.sees(first+rows, most)-from == see); rows++ {
		}
		see = max(0, min(see, keys))
		i, m := first*f.group, rows*f.group
		for j := i; j < i+m; j++ {
			s := scores.Row(j, see)
			vectors.Scale(s, s, f.scale)
			tops[j] = vectors.Largest(s, float32(math.Inf(-1)))
			shift := tops[j]
			if math.IsInf(float64(shift), -1) {
				shift = 0 // weights of 0, or NaN where a score is
			}
			sums[j] = vectors.ExpShifted(s, shift)
		}
		f.mix(y.From(i, 0), scores.From(i, 0), wide, at.v+from*f.vAt.row, m, see)
		first += rows
	}
}

// sees returns how many of the keys a row of queries sees.
func (f *attendFew) sees(row, most int) int {
	if !f.causal {
		return most
	}
	if f.lengths != nil {
		row += most - f.rows
	}
	return min(row+1, most)
}

// dots adds the products of m queries and so many keys, from element at on, to c.
func (f *attendFew) dots(c, q panel, buf []float32, at, m, keys int) {
	switch {
	case f.k.DType == graph.Int8 && vectors.ReadsHalves():
		codes, scales := f.k.codes(at, f.size)
		vectors.DotsI8(c, q, codes, m, f.size, keys, buf)
		for i := range m {
			row := c.Row(i, keys)
			vectors.Mul(row, row, scales)
		}
	case f.k.DType == graph.Float32 || !vectors.ReadsHalves():
		vectors.Dots(c, q, f.floats(f.k, buf, at, f.kAt.row, keys, f.size), m, f.size, keys)
	case f.k.DType == graph.Float16:
		vectors.DotsF16(c, q, halvesOf(f.k.Tensor, at, f.kAt.row), m, f.size, keys)
	default:
		vectors.DotsBF16(c, q, halvesOf(f.k.Tensor, at, f.kAt.row), m, f.size, keys)
	}
}

// mix adds so many values, from element at on, weighted by m rows of p, to y. The
// weights are gone then.
func (f *attendFew) mix(y, p panel, buf []float32, at, m, keys int) {
	switch {
	case f.v.DType == graph.Int8 && vectors.ReadsHalves():
		codes, scales := f.v.codes(at, f.width)
		for i := range m {
			row := p.Row(i, keys)
			vectors.Mul(row, row, scales)
		}
		vectors.RowsOfI8(y, p, codes, m, keys, f.width)
	case f.v.DType == graph.Float32 || !vectors.ReadsHalves():
		vectors.Rows(y, p, f.floats(f.v, buf, at, f.vAt.row, keys, f.width), m, keys, f.width)
	case f.v.DType == graph.Float16:
		vectors.RowsOfF16(y, p, halvesOf(f.v.Tensor, at, f.vAt.row), m, keys, f.width)
	default:
		vectors.RowsOfBF16(y, p, halvesOf(f.v.Tensor, at, f.vAt.row), m, keys, f.width)
	}
}

// floats returns n vectors of a tensor, from element at on and step elements apart:
// where they lie if they are float32, else in buf.
func (f *attendFew) floats(t keptVectors, buf []float32, at, step, n, size int) panel {
	if t.DType == graph.Float32 {
		return panelOf(graph.View[float32](t.Tensor)[min(at, t.Len()):], step)
	}
	return t.vectors(at, step, n, size, buf)
}

// halvesOf returns vectors of a tensor of 16 bits from element at on, step elements
// apart.
func halvesOf(t *graph.Tensor, at, step int) simd.Panel[uint16] {
	return simd.Panel[uint16]{At: graph.View[uint16](t)[min(at, t.Len()):], Stride: step}
}

// store divides the sums of a head of keys by those of their weights, and stores them.
func (f *attendFew) store(sums []float32, head int) {
	n, at := f.rows*f.group, f.at(head/f.kvHeads, head%f.kvHeads).y
	for i := range n {
		y := sums[2*n+i*f.width:][:f.width]
		if s := sums[n+i]; s != 0 { // else it saw nothing: zeros
			scale(y, 1/s)
		}
		storeFloats(f.y.Data, f.y.DType, at+i/f.group*f.yAt.row+i%f.group*f.yAt.head, y)
	}
}
