package host

import "mnnconv/runtime/host/internal/simd"

// Products of activations and weights in blocks, both rounded to bfloat16, on tiles: a
// strip of weights stays in the first cache while all rows of a task pass by.

const (
	roundedRows    = 96              // from which on widening weights is worth it
	roundedDeep    = 16 * simd.Block // numbers of a strip
	roundedPanel   = roundedDeep / 2 * strip
	roundedScratch = roundedPanel + (2*strip+simd.PairScratch)*roundedDeep/simd.Block
)

// roundedStride returns how many pairs apart rows of k numbers start: whole lines of a
// cache, an odd number of them, so that rows do not compete for the same ones.
func roundedStride(k int) int { return (ceil(k, line) | 1) * line / 2 }

// roundedProducts computes the sums of a task of byRounded.
func (p *product) roundedProducts(sums panel, scratch []float32, row, col, m, n int) {
	w, scratch := panelOf(scratch[:roundedPanel], strip), scratch[roundedPanel:]
	for k0 := 0; k0 < p.k; k0 += roundedDeep {
		k := min(roundedDeep, p.k-k0)
		blocks := ceil(k, simd.Block)
		a := p.rounded.From(row, k0/2)
		for j := 0; j < n; j += strip {
			some := min(strip, n-j)
			f := p.blocks.factors(scratch, col+j, k0, some, blocks)
			vectors.BlockPairs(w, &f, blocks, some, scratch[2*some*blocks:])
			vectors.RowsBF16(sums.From(0, j), a, w, m, ceil(k, 2), some)
		}
	}
}
