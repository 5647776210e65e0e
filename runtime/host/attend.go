package host

import (
	"math"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
)

// attend is scaled dot-product attention, y = softmax(scale·q·kᵀ)·v, what the
// operators named after it share. The softmax is taken along with the products,
// a block of keys at a time, so that no more scores exist than a block has
// (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).
// Blocks start at the first key, and a query's sums are its own: its bits do not
// depend on which other queries are computed.
type attend struct {
	q, y               *graph.Tensor
	k, v               keptVectors
	qAt, kAt, vAt, yAt steps
	size, width        int // of a vector of q or k; of v or y
	group              int // query heads that share one key head
	scale              float32
	causal             bool
	many               bool // over 16 query rows: keys are turned, for tiles; see way
}

// steps says how far apart, in elements, the vectors of neighbouring rows and
// heads lie.
type steps struct{ row, head int }

// stretch is a run of query rows, of all heads that share one key head.
type stretch struct {
	q, k, v, y int // index of the first vector's first element
	rows       int
	keys, most int // that the first row sees; each next row sees one more if causal, up to most
}

const (
	blockKeys    = 64 // keys whose scores exist at once
	blockQueries = 64 // vectors of queries that share the keys of a block, once they are read and widened
)

// rowsAtOnce returns how many rows a stretch should have.
func (a *attend) rowsAtOnce() int { return max(1, blockQueries/max(1, a.group)) }

// cost returns that of a stretch, for cutBy.
func (a *attend) cost(rows, keys int) int { return rows * a.group * keys * (a.size + a.width) / 4 }

// run computes the queries of a stretch.
func (a *attend) run(w *Worker, s stretch) {
	n := s.rows * a.group // vector i is that of head i%group in row i/group
	seen := func(i int) int {
		if a.causal {
			return min(s.keys+i/a.group, s.most)
		}
		return s.most
	}
	rest := w.Floats(n*(a.size+a.width+2+blockKeys) + blockKeys*(2*a.size+a.width))
	take := func(n int) (part []float32) { part, rest = rest[:n], rest[n:]; return part }
	q := panelOf(take(n*a.size), a.size)
	y := panelOf(take(n*a.width), a.width)
	tops, sums, scores := take(n), take(n), take(n*blockKeys)
	bufK, bufV, turned := take(blockKeys*a.size), take(blockKeys*a.width), panelOf(take(blockKeys*a.size), blockKeys)
	for i := range n {
		loadFloats(q.Row(i, a.size), a.q.DType, a.q.Data, s.q+i/a.group*a.qAt.row+i%a.group*a.qAt.head)
		tops[i] = float32(math.Inf(-1))
	}
	clear(sums)
	clear(y.At)

	for from, at := 0, 0; ; at += blockKeys { // vectors before from see no further keys
		for from < n && seen(from) <= at {
			from++
		}
		if from == n {
			break
		}
		keys := min(blockKeys, seen(n-1)-at)
		k := a.k.vectors(s.k+at*a.kAt.row, a.kAt.row, keys, a.size, bufK)
		v := a.v.vectors(s.v+at*a.vAt.row, a.vAt.row, keys, a.width, bufV)
		p := panelOf(scores, keys)
		clear(scores[from*keys : n*keys])
		c, x := panelOf(p.At[from*keys:], keys), panelOf(q.At[from*a.size:], a.size)
		if a.many {
			vectors.Transpose(turned, k, keys, a.size)
			vectors.Rows(c, x, turned, n-from, a.size, keys)
		} else {
			vectors.Dots(c, x, k, n-from, a.size, keys)
		}
		i := from
		for ; i < n && seen(i)-at < keys; i += a.group { // on the causal edge, where the heads of a row see as much
			see := seen(i) - at
			for j := i; j < i+a.group; j++ {
				a.weigh(p.Row(j, see), y.Row(j, a.width), &tops[j], &sums[j])
			}
			vectors.Rows(y.From(i, 0), p.From(i, 0), v, a.group, see, a.width)
		}
		for j := i; j < n; j++ {
			a.weigh(p.Row(j, keys), y.Row(j, a.width), &tops[j], &sums[j])
		}
		if i < n {
			vectors.Rows(y.From(i, 0), p.From(i, 0), v, n-i, keys, a.width)
		}
	}
	for i := range n {
		row := y.Row(i, a.width)
		if sums[i] != 0 { // else it saw nothing: zeros
			scale(row, 1/sums[i])
		}
		storeFloats(a.y.Data, a.y.DType, s.y+i/a.group*a.yAt.row+i%a.group*a.yAt.head, row)
	}
}

// weigh replaces a block's products of one query by their weights, relative to
// the largest score so far, top; y and sum, which hold the blocks before, follow
// it.
func (a *attend) weigh(scores, y []float32, top, sum *float32) {
	vectors.Scale(scores, scores, a.scale)
	largest := vectors.Largest(scores, *top)
	if largest > *top {
		shrink := simd.Exp(*top - largest)
		scale(y, shrink)
		*sum *= shrink
		*top = largest
	}
	if math.IsInf(float64(largest), -1) {
		largest = 0 // every key is hidden: weights of 0, or NaN where a score is
	}
	*sum += vectors.ExpShifted(scores, largest)
}
