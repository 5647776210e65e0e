//go:build accept && unix

package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestAcceptStopped stops each command at moments of its first eight seconds over a
// model whose matrices have the 3B one's shapes, of fewer layers: 3 GB, so that all of
// it, its packages and what is being written take less than 8 GB of disk. Each command
// is past its start by then, and a conversion at or near its end.
func TestAcceptStopped(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "3b")
	make3b := exec.CommandContext(t.Context(), "go", "run", "./tests/bigmodel", "-shape", "3b", "-layers", "10", "-blocks", "8", "-o", dir)
	make3b.Dir = "../.."
	if said, err := make3b.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	s := stopper{model: dir, pack: packaged(t, dir, "--quantize", "int4"), times: 3, within: 8 * time.Second}
	var longest time.Duration
	var worst string
	for _, c := range longCommands(t) {
		t.Run(c.name, func(t *testing.T) {
			if took := s.stop(t, c); took >= longest {
				longest, worst = took, c.name
			}
		})
	}
	verdict := map[bool]string{true: "yes", false: "no"}[longest <= time.Second && !t.Failed()]
	t.Logf("accept: | Ctrl-C and SIGTERM at moments of each long command, matrices of the 3B shape, 3 GB | ends within 1 s, nothing is left | %.2f s at most (%s) | %s |", longest.Seconds(), worst, verdict)
	if verdict == "no" {
		t.Errorf("%s took %v", worst, longest)
	}
}
