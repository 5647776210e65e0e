//go:build !amd64

package simd

// tilesBytesAMX is never called where no level has tiles.
func tilesBytesAMX(c *int32, ldc int, a *uint8, lda int, b *uint32, ldb, stepb, steps, blocks, shape int, config *uint8) {
	panic("simd: no tiles")
}

// tileBlocksAMX is never called either.
func tileBlocksAMX(c *float32, ldc int, x *uint8, ldx int, w, sums *uint8, m, groups, blocks int, config, soon *uint8, ldsoon, quads int) {
	panic("simd: no tiles")
}

// partsAMX is never called either.
func partsAMX(c *float32, ldc int, a *float32, banda int, b *float32, bandb, steps, blocks, counts int, config *uint8, soon *float32) {
	panic("simd: no tiles")
}
