//go:build accept

package qwen25vl_test

import "testing"

// TestAcceptManyRequests asks a thousand questions, of which the last nine hundred
// may not make the process larger.
func TestAcceptManyRequests(t *testing.T) {
	grown := manyRequests(t, 1000, 0)
	t.Logf("accept: | 1,000 requests of random pictures and texts, two sessions on `vision=sim:0,llm=sim:1` | answers of single runs; resident memory after them ≤ 1.02 × after 100 | %.3f × | %s |", grown, map[bool]string{true: "no", false: "yes"}[t.Failed()])
}
