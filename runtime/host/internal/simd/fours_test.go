package simd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Fours and the sums of their products are those of single bytes, exactly.
func TestFours(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		m, k, n, flip := extent(r), 1+r.IntN(150), 1+r.IntN(FourCols), pick(r, uint8(0), 0x80)
		fours := (k + 3) / 4
		x := Panel[uint8]{bytesOf(r, (m-1)*(4*fours+9)+4*fours), 4*fours + 9}
		w := Panel[uint8]{bytesOf(r, (k-1)*(n+5)+n), n + 5}
		packed, beside := between[uint32](fours*FourCols, 0xa5a5a5a5)
		l.PackFours(packed, w, flip, k, n)
		stride := FourCols + r.IntN(3)
		c, check := between[int32]((m-1)*stride+FourCols, 0x5a5a5a5a)
		want := slices.Clone(c)
		l.AddFours(Panel[int32]{c, stride}, x, packed, m, fours)
		for i := range m {
			for j := range n {
				for p := range k {
					want[i*stride+j] += int32(int8(x.At[i*x.Stride+p])) * int32(w.At[p*w.Stride+j]^flip)
				}
			}
		}
		if err := errors.Join(beside(), check()); err != nil {
			return fmt.Errorf("%d×%d×%d: %w", m, k, n, err)
		}
		if !slices.Equal(c, want) {
			return fmt.Errorf("%d×%d×%d, flip %d: other sums", m, k, n, flip)
		}
		return nil
	})
}

func bytesOf(r *rand.Rand, n int) []uint8 {
	b := make([]uint8, n)
	for i := range b {
		b[i] = uint8(r.Uint32())
	}
	return b
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func BenchmarkFours(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		const k, n = 1024, FourCols
		r := rand.New(rand.NewPCG(1, 2))
		w, packed := Panel[uint8]{bytesOf(r, k*4864), 4864}, make([]uint32, k/4*n)
		b.Run("pack", func(b *testing.B) {
			for b.Loop() {
				l.PackFours(packed, w, 0, k, n)
			}
			rate(b, 0, k*n)
		})
		for _, m := range []int{1, 16, 512} {
			x, c := Panel[uint8]{bytesOf(r, m*(k+64)), k + 64}, Panel[int32]{make([]int32, m*n), n}
			b.Run(fmt.Sprintf("%d rows", m), func(b *testing.B) {
				for b.Loop() {
					l.AddFours(c, x, packed, m, k/4)
				}
				rate(b, 2*m*k*n, 0)
			})
		}
	})
}
