package host

import (
	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
)

// Products of floats over more rows than have the bits of one, where the processor has
// tiles for bfloat16: each number is the sum of up to three of bfloat16, and the products
// of these are summed in float32, but for those below its rounding.

// splitLeft is the left side of such products, as the parts of all rows: one stretch of
// panelDeep numbers behind the other.
type splitLeft struct {
	memory []float32
	rows   int
	count  int
}

const splitStride = panelDeep / 2 // pairs of a row of a stretch

// splitSize returns how many numbers of memory m rows of k need.
func splitSize(m, k int) int { return ceil(k, panelDeep) * 3 * m * splitStride }

// stretch returns the parts from row on, and from number k0 on, which starts a stretch.
func (l *splitLeft) stretch(row, k0 int) simd.Parts {
	at := k0/panelDeep*3*l.rows*splitStride + row*splitStride
	return simd.Parts{Panel: panelOf(l.memory[at:], splitStride), Apart: l.rows * splitStride, Count: l.count}
}

// set stores the parts of x as those of a row.
func (l *splitLeft) set(row int, x []float32) {
	for k0 := 0; k0 < len(x); k0 += panelDeep {
		s := l.stretch(row, k0)
		vectors.Split(&s, 0, x[k0:min(k0+panelDeep, len(x))])
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

// splitProducts computes the sums of a task. What is no finite number there is computed
// anew without parts: those of an infinite number are none.
func (p *product) splitProducts(sums panel, scratch []float32, row, ib, col, m, n int) {
	take := func(n int) (part []float32) { part, scratch = scratch[:n], scratch[n:]; return part }
	w := simd.Parts{Panel: panelOf(take(3*splitStride*strip), strip), Apart: splitStride * strip, Count: p.right.parts()}
	turned := panelOf(take(p.depth*strip), strip)
	for k0 := 0; k0 < p.k; k0 += p.depth {
		k := min(p.depth, p.k-k0)
		x := p.split.stretch(row, k0)
		for j := 0; j < n; j += strip {
			some := min(strip, n-j)
			if p.transposed {
				vectors.Transpose(turned, p.right.view(scratch, ib*p.n+col+j, k0, some, k), some, k)
			} else {
				p.right.panel(turned, ib*p.k+k0, col+j, k, some)
			}
			for q := range ceil(k, 2) {
				var high []float32
				if 2*q+1 < k {
					high = turned.Row(2*q+1, some)
				}
				vectors.SplitPairs(&w, q, turned.Row(2*q, some), high)
			}
			vectors.RowsParts(sums.From(0, j), &x, &w, m, ceil(k, 2), some)
		}
	}
	p.mend(sums, row, ib, col, m, n)
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
				q.rows, q.cols = m, n
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
