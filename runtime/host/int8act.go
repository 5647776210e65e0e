package host

import (
	"mnnconv/runtime/host/internal/simd"
)

// Products of activations quantised to 8 bits by the block and weights in blocks of 4
// or 8 bits: sums of a block of 32 are integers, scaled and added in float32.

// quantisable tells whether such a product can be made of the blocks.
func (b *blocks) quantisable() bool { return b.size >= simd.Block }

// quantisedDots computes a task of byQuantisedDots.
func (p *product) quantisedDots(sums panel, scratch []float32, row, col, m, n int) {
	k := ceil(p.k, simd.Block)
	x := simd.Panel[uint8]{At: p.records.At[row*p.records.Stride:], Stride: p.records.Stride}
	most := max(1, dotsPanel/(4*k))
	for j := 0; j < n; j += most {
		some := min(most, n-j)
		f, ok := p.blocks.stored(col + j)
		if !ok {
			f = p.blocks.factors(scratch, col+j, 0, some, k)
		}
		vectors.DotsQuantised(sums.From(0, j), x, &f, m, k, some)
		p.ownZeros(sums.From(0, j), x, &f, scratch[2*some*k:], false, m, k, some)
	}
}

// quantisedTiles computes a task of byQuantisedTiles. Sums have columns for whole
// panels.
func (p *product) quantisedTiles(w *Worker, sums panel, scratch []float32, row, col, m, n int) {
	cols := vectors.QuantisedCols(p.blocks.bits)
	packed := w.Bytes(vectors.PanelBytes(tilesDeep))
	for k0 := 0; k0 < p.k; k0 += tilesDeep * simd.Block {
		k := min(tilesDeep, ceil(p.k-k0, simd.Block))
		at := row*p.records.Stride + simd.TileRecords(k0/simd.Block)
		x := simd.Panel[uint8]{At: p.records.At[at:], Stride: p.records.Stride}
		for j := 0; j < n; j += cols {
			some := min(cols, n-j)
			f := p.blocks.factors(scratch, col+j, k0, some, k)
			vectors.Pack(packed, &f, k, some)
			var soon simd.Soon
			if next := j + some; next < n {
				soon = simd.Soon{Rows: f.Data.From(some, 0), N: min(cols, n-next), Bytes: k * simd.Block * f.Bits / 8}
			}
			vectors.TileQuantised(sums.From(0, j), x, packed, m, k, soon)
			p.ownZeros(sums.From(0, j), x, &f, scratch[2*some*k:], true, m, k, some)
		}
	}
}

// ownZeros adds what blocks with zeros of their own have beside those with the middle
// of the range: for each block, the sum of its activations times what its weights
// are more.
func (p *product) ownZeros(c panel, x simd.Panel[uint8], f *simd.Blocks, scratch []float32, tiles bool, m, k, n int) {
	if f.Zeros.At == nil {
		return
	}
	more := panelOf(f.Zeros.At, f.Zeros.Stride)
	middle := float32(int(1) << (f.Bits - 1))
	for j := range n {
		z, s := more.Row(j, k), f.Scales.Row(j, k)
		for b := range z {
			z[b] = (middle - z[b]) * s[b]
		}
	}
	sums := panelOf(scratch, k)
	for from := 0; from < m; from += manyDots {
		some := min(manyDots, m-from)
		for i := range some {
			simd.BlockSums(sums.Row(i, k), x.At[(from+i)*x.Stride:], f.Bits, tiles)
		}
		vectors.Dots(c.From(from, 0), sums, more, some, k, n)
	}
}
