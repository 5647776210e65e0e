package simd

import (
	"math"

	"mnnconv/graph"
)

// pairedCols is how many rows of blocks blockPairs takes.
const pairedCols = 16

// PairScratch is how many numbers of scratch BlockPairs needs for each block of a row.
const PairScratch = 2 * pairedCols

// BlockPairs stores so many blocks of n rows of w, rounded to bfloat16 with ties to even,
// as [Parts.Band] holds them: half a row of dst for each number of a row of w.
func (l *Level) BlockPairs(dst Panel[float32], w *Blocks, blocks, n int, scratch []float32) {
	if blocks == 0 || n == 0 {
		return
	}
	w.holds(n, blocks)
	dst.holds(blocks*Block/2, n)
	whole := 0
	if l.tiles {
		whole = n - n%pairedCols
	}
	size := pairedCols * blocks
	scales, zeros := scratch[:size], scratch[size:2*size]
	if w.Zeros.At == nil {
		for i := range zeros {
			zeros[i] = middles[w.Bits/8][0]
		}
	}
	for j := 0; j < whole; j += pairedCols {
		l.Transpose(Panel[float32]{scales, pairedCols}, w.Scales.From(j, 0), pairedCols, blocks)
		if w.Zeros.At != nil {
			l.Transpose(Panel[float32]{zeros, pairedCols}, w.Zeros.From(j, 0), pairedCols, blocks)
		}
		pairs := l.blockPairs4
		if w.Bits == 8 {
			pairs = l.blockPairs8
		}
		pairs(&dst.At[j], dst.Stride, &w.Data.At[j*w.Data.Stride], w.Data.Stride, &scales[0], &zeros[0], blocks)
	}
	for j := whole; j < n; j++ {
		var x [Block]float32
		for b := range blocks {
			one := Blocks{Bits: w.Bits, Data: w.Data.From(j, b*w.bytes()), Scales: w.Scales.From(j, b)}
			if w.Zeros.At != nil {
				one.Zeros = w.Zeros.From(j, b)
			}
			portable.Dequantise(x[:], &one, 0, 1)
			for i := range Block / 2 {
				pair := uint32(graph.F32ToBF16(x[2*i])) | uint32(graph.F32ToBF16(x[2*i+1]))<<16
				dst.At[(b*Block/2+i)*dst.Stride+j] = math.Float32frombits(pair)
			}
		}
	}
}
