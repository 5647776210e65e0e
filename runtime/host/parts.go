package host

import (
	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
)

// Products over more rows than have the bits of one, where the processor has tiles for
// bfloat16: each number is the sum of up to three of bfloat16, and the products of these are
// summed in float32, but for those below its rounding.

// splitLeft is the left side of such products, as the parts of all rows. Each matrix starts
// with a block of them.
type splitLeft struct {
	simd.Parts
	matrices, rows int
	rounded        bool // to one part
}

// splitLeftOf returns that of a product, without memory.
func splitLeftOf(p *product) splitLeft {
	rows := len(p.left.data) * 8 / p.left.dtype.Bits() / p.k
	s := splitLeft{simd.Parts{Count: partsOf(p.left.dtype), Steps: ceil(p.k, simd.PartsStep)}, rows / p.m, p.m, p.way == byRounded}
	if s.rounded {
		s.Count = 1
	}
	return s
}

// size returns how many numbers of memory it needs.
func (l *splitLeft) size() int {
	return l.matrices * simd.PartsSize(l.rows, l.Steps*simd.PartsStep, l.Count)
}

// at returns the parts of a matrix from row on, which starts a block.
func (l *splitLeft) at(matrix, row int) simd.Parts {
	return l.From(matrix*ceil(l.rows, simd.PartsBlock)*simd.PartsBlock+row, 0)
}

// set stores the parts of x, which is whole steps, as those of a row of all matrices.
func (l *splitLeft) set(row int, x []float32) {
	m, i, x := l.at(row/l.rows, 0), row%l.rows, x[:l.Steps*simd.PartsStep]
	if l.rounded {
		vectors.Round(m, i, x)
	} else {
		vectors.Split(m, i, x)
	}
}

// partsOf returns how many parts have all bits of a number.
func partsOf(d graph.DType) int {
	switch d {
	case graph.BFloat16:
		return 1
	case graph.Float16:
		return 2
	}
	return 3
}

// A task keeps the parts of so many numbers of k of its weights, so that all its rows pass by
// what is turned and split once: some rows at a time, for a stretch of k each, so that these,
// the weights' and the sums leave room in the second cache for the next ones, and a block of
// columns of a stretch stays in the first.
const (
	splitDeep    = 384
	splitRows    = 256
	splitStretch = 12 // tiles of a row's parts; splitDeep is whole stretches
	splitAhead   = 16 // rows of weights that are asked for
)

// splitScratch returns how many numbers of memory the parts of a task's weights need, and
// how many more are needed to make them.
func (p *product) splitScratch() (parts, more int) {
	parts = simd.PartsSize(p.cols, min(p.k, splitDeep), p.rightParts())
	switch {
	case p.way == byRounded:
		return parts, roundedScratch
	case p.transposed:
		return parts, (2*strip + 1) * splitDeep
	}
	return parts, (simd.PartsStep + 1) * p.cols
}

// rightParts returns how many parts weights have.
func (p *product) rightParts() int {
	if p.way == byRounded {
		return 1
	}
	return p.right.parts()
}

// splitProducts computes the sums of a task. What is no finite number there is computed
// anew without parts: those of an infinite number are none.
func (p *product) splitProducts(sums panel, scratch []float32, matrix, row, ib, col, m, n int) {
	size, _ := p.splitScratch()
	left, strips := p.split.at(matrix, row), ceil(n, simd.PartsBlock)
	for from := 0; from < p.k; from += splitDeep {
		k, start := min(splitDeep, p.k-from), from/simd.PartsStep
		w := simd.Parts{At: scratch[:size], Count: p.rightParts(), Steps: ceil(k, simd.PartsStep)}
		p.splitRight(w, scratch[size:], ib, from, col, k, n)
		for i := 0; i < m; i += splitRows {
			for step := 0; step < w.Steps; step += splitStretch / left.Count {
				x, steps := left.From(i, start+step), min(splitStretch/left.Count, w.Steps-step)
				next := x
				switch {
				case step+steps < w.Steps:
					next = left.From(i, start+step+steps)
				case i+splitRows < m:
					next = left.From(i+splitRows, start)
				}
				for j := range strips {
					soon := next.At[j*steps*left.Count*simd.PartsTile/strips:]
					vectors.RowsParts(sums.From(i, j*simd.PartsBlock), x, w.From(j*simd.PartsBlock, step), min(splitRows, m-i), steps, soon)
				}
			}
		}
	}
	if left.Count*p.rightParts() > 1 {
		p.mend(sums, matrix*p.m+row, ib, col, m, n)
	}
}

// splitRight stores the parts of k×n weights of matrix ib, from number k0 of column col on.
func (p *product) splitRight(d simd.Parts, scratch []float32, ib, k0, col, k, n int) {
	w, ok := p.right.(*dense)
	switch {
	case p.way == byRounded:
		p.roundRight(d, scratch, k0, col, k, n)
	case p.transposed && ok && w.dtype == graph.BFloat16 && p.k%2 == 0: // pairs as they are
		for j := 0; j < n; j += simd.PartsBand {
			some := min(simd.PartsBand, n-j)
			vectors.Transpose(d.Band(j), w.inPlace(ib*p.n+col+j, k0), some, k/2)
		}
	case p.transposed:
		turned, scratch := panelOf(scratch[:splitDeep*strip], strip), scratch[splitDeep*strip:]
		for j := 0; j < n; j += strip {
			some := min(strip, n-j)
			vectors.Transpose(turned, p.right.view(scratch, ib*p.n+col+j, k0, some, k), some, k)
			splitPanel(d.From(j, 0), 0, turned, k, some, (*simd.Level).SplitPairs)
		}
	case ok && w.dtype == graph.Float16:
		splitPanel(d, 0, w.halves(ib*p.k+k0, col), k, n, (*simd.Level).SplitPairsF16)
	case ok && w.dtype == graph.BFloat16:
		splitPanel(d, 0, w.halves(ib*p.k+k0, col), k, n, (*simd.Level).SplitPairsBF16)
	default:
		for from := 0; from < k; from += simd.PartsStep {
			deep := min(simd.PartsStep, k-from)
			splitPanel(d, from/2, p.right.view(scratch, ib*p.k+k0+from, col, deep, n), deep, n, (*simd.Level).SplitPairs)
		}
	}
	d.Clear(ceil(k, 2), n)
}

// splitPanel stores the parts of k×n numbers as pairs from q on.
func splitPanel[T any](d simd.Parts, q int, w simd.Panel[T], k, n int, split func(l *simd.Level, d simd.Parts, q int, low, high []T, ahead int)) {
	for i := 0; i < k; i += 2 {
		var high []T
		if i+1 < k {
			high = w.Row(i+1, n)
		}
		split(vectors, d, q+i/2, w.Row(i, n), high, splitAhead*w.Stride)
	}
}

// mend computes sums that are no finite numbers as [product.products] does.
func (p *product) mend(sums panel, row, ib, col, m, n int) {
	var plain panel
	for i := range m {
		s := sums.Row(i, n)
		if finite(vectors.SumSquares(s)) {
			continue
		}
		for j, v := range s {
			if finite(v) {
				continue
			}
			if plain.At == nil {
				q := *p
				q.rows, q.cols, q.depth = m, n, min(p.k, panelDeep)
				if q.way = byPanels; q.transposed {
					q.way = byStrips
				}
				q.divide()
				plain = panelOf(make([]float32, m*sums.Stride), sums.Stride)
				q.products(plain, make([]float32, q.scratch), row, ib, col, m, n)
			}
			s[j] = plain.Row(i, n)[j]
		}
	}
}

// finite reports whether x is neither infinite nor no number.
func finite(x float32) bool { return x-x == 0 }
