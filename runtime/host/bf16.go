package host

import (
	"math"

	"mnnconv/graph"
)

// Products of bfloat16 and bfloat16, over more rows than have the bits of one, where
// the processor has instructions for them that are faster than widening.

// inPairs tells whether the product is made so.
func (p *product) inPairs() bool {
	return p.m > manyDots && p.right == weights(&p.dense) && p.dense.dtype == graph.BFloat16 && p.left.dtype == graph.BFloat16 && vectors.MultipliesBF16()
}

// pairs stores k numbers of d, from (row, col) on, as pairs; a last one alone has a zero
// beside it.
func (d *dense) pairs(dst []float32, row, col, k int) {
	from := d.data[2*(row*d.cols+col):]
	copy(dst, graph.ViewBytes[float32](from)[:k/2])
	if k%2 == 1 {
		dst[k/2] = math.Float32frombits(uint32(graph.ViewBytes[uint16](from)[k-1]))
	}
}

// inPlace returns numbers of d from (row, col) on as pairs where they lie: rows have an
// even number of them.
func (d *dense) inPlace(row, col int) panel {
	return panelOf(graph.ViewBytes[float32](d.data[2*(row*d.cols+col):]), d.cols/2)
}

// line is how many numbers of 16 bits a line of a cache holds: rows of a multiple are
// read where they lie, others fall on one line more at every step.
const line = 32

// pairedProducts is products of pairs.
func (p *product) pairedProducts(sums panel, scratch []float32, row, ib, col, m, n int) {
	copied := panelOf(scratch[:p.rows*p.stride], p.stride)
	scratch = scratch[len(copied.At):]
	for k0 := 0; k0 < p.k; k0 += p.depth {
		k := min(p.depth, p.k-k0)
		deep := ceil(k, 2)
		a := copied
		if p.left.cols%line == 0 {
			a = p.left.inPlace(row, k0)
		} else {
			for i := range m {
				p.left.pairs(a.Row(i, deep), row+i, k0, k)
			}
		}
		if !p.transposed {
			w := panelOf(scratch, p.cols+pad)
			for q := range deep {
				at := ib*p.k + k0 + 2*q
				var high []uint16
				if 2*q+1 < k {
					high = p.dense.halves(at+1, col).At
				}
				vectors.Interleave(w.Row(q, n), p.dense.halves(at, col).At, high)
			}
			vectors.RowsBF16(sums, a, w, m, deep, n)
			continue
		}
		turned, rows := panelOf(scratch[:panelDeep*strip], strip), panelOf(scratch[panelDeep*strip:], panelDeep+pad)
		for j := 0; j < n; j += strip {
			some, w := min(strip, n-j), rows
			if p.k%2 == 0 {
				w = p.dense.inPlace(ib*p.n+col+j, k0)
			} else {
				for i := range some {
					p.dense.pairs(w.Row(i, deep), ib*p.n+col+j+i, k0, k)
				}
			}
			vectors.Transpose(turned, w, some, deep)
			vectors.RowsBF16(sums.From(0, j), a, turned, m, deep, some)
		}
	}
}
