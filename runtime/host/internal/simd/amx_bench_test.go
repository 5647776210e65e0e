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
					const k, n = 128, 32
					a := &Parts{Panel[float32]{filled[float32](3 * m * k), k}, m * k, count}
					w := &Parts{Panel[float32]{filled[float32](3 * k * n), n}, k * n, count}
					c := Panel[float32]{make([]float32, m*256), 256}
					for b.Loop() {
						l.RowsParts(c, a, w, m, k, n)
					}
					rate(b, 4*m*k*n*[]int{1, 3, 6}[count-1], 0)
				})
			}
		}
	})
}
