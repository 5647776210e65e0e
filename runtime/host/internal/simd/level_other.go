//go:build !amd64

package simd

// native returns the levels of this processor that have assembly.
func native() []*Level { return nil }
