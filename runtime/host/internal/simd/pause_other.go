//go:build !amd64

package simd

// Pause is where a loop waits for memory to change.
func Pause() {}
