package host

import "mnnconv/runtime/host/internal/simd"

// Products of activations and weights in blocks, both rounded to bfloat16, are those of one
// part.

const (
	roundedRows    = 96 // from which on widening weights is worth it
	roundedCols    = 16 // that are widened at once
	roundedScratch = (2*roundedCols + simd.PairScratch) * splitDeep / simd.Block
)

// roundRight stores k×n weights, from number k0 of column col on.
func (p *product) roundRight(d simd.Parts, scratch []float32, k0, col, k, n int) {
	blocks := ceil(k, simd.Block)
	for j := 0; j < n; j += roundedCols {
		some := min(roundedCols, n-j)
		w := p.blocks.factors(scratch, col+j, k0, some, blocks)
		vectors.BlockPairs(d.Band(j, 0), &w, blocks, some, scratch[2*some*blocks:])
	}
}
