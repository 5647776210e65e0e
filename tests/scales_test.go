//go:build linux && !nogpu

package tests

import (
	"slices"
	"testing"

	"mnnconv/models"
	"mnnconv/runtime/cuda/standin"
)

// TestScalesOfEightBits wants the cpu's tokens of a package whose blocks have scales of 8
// bits, wherever it is run, and of one that was written for another device.
func TestScalesOfEightBits(t *testing.T) {
	standin.Use(t, "")
	dir := Export(t, "tjs-fp16")
	path := quantized(t, dir, "int4:scales8", options("cpu"), nil)
	here := chat(t, path, options(""))
	others := map[string]models.Session{
		"sim:0":             chat(t, path, options("sim:0")),
		"opencl:0":          chat(t, path, onOpenCL("opencl:0")),
		"cuda:0":            chat(t, path, onGPUs("cuda:0")),
		"written for sim:0": chat(t, quantized(t, dir, "int4:scales8", options("sim:0"), nil), options("")),
	}
	for _, c := range Conversations(t)[:1] { // the stand-in for CUDA is slow
		q := c.Asking(t)
		want, err := here.Ask(t.Context(), q, greedy)
		if err != nil {
			t.Fatal(err)
		}
		for place, s := range others {
			got, err := s.Ask(t.Context(), q, greedy)
			if err != nil {
				t.Fatalf("%s: %s: %v", place, c.Name, err)
			}
			if !slices.Equal(got.Tokens, want.Tokens) {
				t.Errorf("%s: %s: %q, the cpu says %q", place, c.Name, got.Text, want.Text)
			}
		}
	}
}
