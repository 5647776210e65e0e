//go:build race

package host

// raced: under the race detector.
const raced = true
