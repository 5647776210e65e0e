//go:build race

package qwen25vl_test

// How much is tried under the race detector, which is slow and takes memory of its
// own: random orders of a placement, requests, and every how many calls one fails.
const (
	raced    = true
	seeds    = 5
	requests = 10
	stride   = 9
)
