package simd

import (
	"fmt"
	"testing"
)

// Products on tiles, of strips of columns and of as many rows: the factors of a step
// are in the first cache where strides let them.
func BenchmarkRowsParts(b *testing.B) {
	levels(b, func(b *testing.B, l *Level) {
		if !l.HasTiles() {
			return
		}
		for _, count := range []int{1, 2, 3} {
			for _, m := range []int{32, 512} {
				b.Run(fmt.Sprintf("%d parts/%d rows", count, m), func(b *testing.B) {
					const n = 32
					k := 12 / count * PartsStep
					part := func(n int) Parts { return Parts{filled[float32](PartsSize(n, k, count)), count, k / PartsStep} }
					a, w := part(m), part(n)
					c := Panel[float32]{make([]float32, m*256), 256}
					for b.Loop() {
						l.RowsParts(c, a, w, m, k/PartsStep, a.At)
					}
					rate(b, 2*m*k*n*[]int{1, 3, 6}[count-1], 0)
				})
			}
		}
	})
}
