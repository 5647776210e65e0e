package host

import "mnnconv/runtime/host/internal/simd"

// Coding holds the loops that give weights codes, see package quantize, at the
// processor's level.
type Coding struct{ *simd.Level }

// NewCoding returns the loops of the level that kernels use.
func NewCoding() Coding { return Coding{vectors} }

// Turn stores n columns of m rows of src as rows of dst; rows are ldd and lds numbers
// apart.
func (c Coding) Turn(dst []float32, ldd int, src []float32, lds, m, n int) {
	c.Transpose(panelOf(dst, ldd), panelOf(src, lds), m, n)
}
