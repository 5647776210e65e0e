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

// A task keeps the parts of its weights, so that many rows pass by what is turned and
// split once: a stripe of so many stretches at most. As many rows at a time as leave
// room in the second cache for a stretch of theirs and their sums.
const (
	splitStretches = 5
	splitRows      = 512
	splitStrip     = 3 * splitStride * strip // numbers that hold a strip of a stretch
)

// splitWeights is the right side of a task in parts: strips of stretches.
type splitWeights struct {
	memory []float32
	strips int // of each stretch
	count  int
}

// splitWeightsSize returns how many numbers of memory those of a task need.
func (p *product) splitWeightsSize() int {
	return min(splitStretches, ceil(p.k, panelDeep)) * ceil(p.cols, strip) * splitStrip
}

// at returns the parts of a strip of a stretch.
func (s *splitWeights) at(stretch, i int) simd.Parts {
	memory := s.memory[(stretch*s.strips+i)*splitStrip:][:splitStrip]
	return simd.Parts{Panel: panelOf(memory, strip), Apart: splitStride * strip, Count: s.count}
}

// splitProducts computes the sums of a task. What is no finite number there is computed
// anew without parts: those of an infinite number are none.
func (p *product) splitProducts(sums panel, scratch []float32, row, ib, col, m, n int) {
	size := p.splitWeightsSize()
	w, scratch := splitWeights{scratch[:size], ceil(n, strip), p.right.parts()}, scratch[size:]
	rows := ceil(ceil(m, ceil(m, splitRows)), strip) * strip
	for from := 0; from < p.k; from += splitStretches * panelDeep {
		to := min(from+splitStretches*panelDeep, p.k)
		for j := 0; j < n; j += strip {
			for k0 := from; k0 < to; k0 += panelDeep {
				d := w.at((k0-from)/panelDeep, j/strip)
				p.splitRight(&d, scratch, ib, k0, col+j, min(panelDeep, to-k0), min(strip, n-j))
			}
		}
		for i := 0; i < m; i += rows {
			for k0 := from; k0 < to; k0 += panelDeep {
				x, pairs := p.split.stretch(row+i, k0), ceil(min(panelDeep, to-k0), 2)
				for j := 0; j < n; j += strip {
					y := w.at((k0-from)/panelDeep, j/strip)
					vectors.RowsParts(sums.From(i, j), &x, &y, min(rows, m-i), pairs, min(strip, n-j))
				}
			}
		}
	}
	p.mend(sums, row, ib, col, m, n)
}

// splitRight stores the parts of k×n weights of matrix ib, from number k0 of column col on.
func (p *product) splitRight(d *simd.Parts, scratch []float32, ib, k0, col, k, n int) {
	if w, ok := p.right.(*dense); ok && w.dtype == graph.Float16 && !p.transposed {
		vectors.SplitHalves(d, w.halves(ib*p.k+k0, col), k, n)
		return
	}
	turned, scratch := panelOf(scratch[:p.depth*strip], strip), scratch[p.depth*strip:]
	if p.transposed {
		vectors.Transpose(turned, p.right.view(scratch, ib*p.n+col, k0, n, k), n, k)
	} else {
		p.right.panel(turned, ib*p.k+k0, col, k, n)
	}
	for q := range ceil(k, 2) {
		var high []float32
		if 2*q+1 < k {
			high = turned.Row(2*q+1, n)
		}
		vectors.SplitPairs(d, q, turned.Row(2*q, n), high)
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
