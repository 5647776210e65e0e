//go:build !race

package qwen25vl_test

// How much is tried: random orders of a placement, requests, and every how many
// calls one fails.
const (
	raced    = false
	seeds    = 200
	requests = 60
	stride   = 1
)
