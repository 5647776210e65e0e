//go:build !race

package qwen25vl_test

// seeds is how many random orders a placement is tried in.
const seeds = 200
