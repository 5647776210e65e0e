package host

import "mnnconv/runtime/host/internal/simd"

// Products of activations and weights in blocks, both rounded to bfloat16, are those of one
// part.

const (
	roundedRows    = 96 // from which on widening weights is worth it
	roundedScratch = (2*simd.PartsBand + simd.PairScratch) * splitDeep / simd.Block
)

// roundRight stores k×n weights, from number k0 of column col on.
func (p *product) roundRight(d simd.Parts, scratch []float32, k0, col, k, n int) {
	blocks := ceil(k, simd.Block)
	for j := 0; j < n; j += simd.PartsBand {
		some := min(simd.PartsBand, n-j)
		w := p.blocks.factors(scratch, col+j, k0, some, blocks)
		vectors.BlockPairs(d.Band(j), &w, blocks, some, scratch[2*some*blocks:])
	}
}
