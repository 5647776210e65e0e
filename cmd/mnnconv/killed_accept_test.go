//go:build accept && unix

package main

import "testing"

// TestAcceptKilled kills two hundred conversions.
func TestAcceptKilled(t *testing.T) {
	killed(t, 200)
	t.Logf("accept: | SIGKILL at 200 random moments of `convert --force` | the old package or the new one, to the byte; nothing left by the next run | 200 of 200 | %s |", map[bool]string{true: "no", false: "yes"}[t.Failed()])
}
