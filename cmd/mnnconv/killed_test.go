//go:build unix

package main

import (
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestKilledAnywhere kills conversions at random moments: the target is the old
// package or the new one to the byte, and the next conversion leaves nothing else.
func TestKilledAnywhere(t *testing.T) { killed(t, 30) }

func killed(t *testing.T, times int) {
	t.Helper()
	dir := t.TempDir()
	convert := func(place string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Args = []string{"mnnconv", "convert", bundled, "-o", filepath.Join(dir, "model.mnnc"), "--force", "--place", place}
		return c
	}
	places := []string{"vision=sim:0", "llm=sim:0"}
	var whole []map[string]string
	var takes time.Duration
	for _, place := range places {
		from := time.Now()
		if said, err := convert(place).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		takes = time.Since(from)
		whole = append(whole, tree(t, dir))
	}
	if maps.Equal(whole[0], whole[1]) {
		t.Fatal("both placements give the same package")
	}
	died := 0
	for i := range times {
		c := convert(places[i%2])
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(takes)))) //nolint:gosec // a moment
		if err := c.Process.Kill(); err == nil {
			died++
		}
		_ = c.Wait() // it was killed
		have := map[string]string{}
		for name, text := range tree(t, dir) {
			if filepath.Dir(name) == "/model.mnnc" {
				have[name] = text
			}
		}
		if !maps.Equal(have, whole[0]) && !maps.Equal(have, whole[1]) {
			t.Fatalf("killed %d times, the package is neither the old one nor the new one", i+1)
		}
	}
	if died < times/2 {
		t.Errorf("%d of %d were killed", died, times)
	}
	if said, err := convert(places[0]).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if !maps.Equal(tree(t, dir), whole[0]) {
		t.Error("after the next conversion something else is left")
	}
}
