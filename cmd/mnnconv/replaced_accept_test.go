//go:build accept

package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAcceptReadersOfReplaced: whoever reads a package that is replaced again and again finds
// the one version or the other, whole.
func TestAcceptReadersOfReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model.mnnc")
	do := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(args, strings.NewReader(""), &out, &errs)
		return code, out.String() + errs.String()
	}
	convert := func(place string) {
		if code, said := do("convert", bundled, "-o", dir, "--force", "--place", place); code != 0 {
			t.Errorf("convert: exit %d, %s", code, said)
		}
	}
	reading := [][]string{{"inspect", dir, "--json"}, {"run", dir, "-p", "Count from 6 to 13.", "-n", "2"}, {"validate", dir}}
	places := []string{"vision=sim:0", "llm.layers.0=sim:1"}
	said := make([][]string, len(reading)) // by the commands, of each version
	for _, place := range places {
		convert(place)
		for i, args := range reading {
			_, text := do(args...)
			said[i] = append(said[i], text)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			convert(places[i%2])
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-done:
			if n < 10 {
				t.Errorf("%d reads meanwhile", n)
			}
			return
		default:
		}
		code, text := do(reading[n%len(reading)]...)
		if code == 8 && strings.Contains(text, "was replaced while it was read") && n%len(reading) == 2 {
			continue // validate had begun to read the weights
		}
		if code != 0 || !slices.Contains(said[n%len(reading)], text) {
			t.Errorf("%v: exit %d, %s", reading[n%len(reading)], code, text)
		}
	}
}
