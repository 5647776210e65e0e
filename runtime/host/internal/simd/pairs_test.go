package simd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// Pairs of blocks are those of plain Go, bit for bit.
func TestBlockPairs(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		width, n, blocks := 4+4*r.IntN(2), 1+r.IntN(40), 1+r.IntN(6)
		w := blocksOf(r, width, n, blocks, r.IntN(2) == 0)
		rows, stride := blocks*Block/2, n+r.IntN(3)*r.IntN(20)
		scratch, beside := guarded(PairScratch * blocks)
		got, check := guarded((rows-1)*stride + n)
		l.BlockPairs(Panel[float32]{got, stride}, w, blocks, n, scratch)
		want, _ := guarded(len(got))
		portable.BlockPairs(Panel[float32]{want, stride}, w, blocks, n, make([]float32, len(scratch)))
		if err := errors.Join(bits("pairs", got, want), check(), beside()); err != nil {
			return fmt.Errorf("%d bits, %d rows of %d blocks: %w", width, n, blocks, err)
		}
		return nil
	})
}
