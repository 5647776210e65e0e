//go:build amd64 && !linux

package simd

// hasTiles tells that the system is not asked for tiles.
func hasTiles() bool { return false }
