//go:build !nogpu

package tests

import (
	"testing"

	"mnnconv"
	"mnnconv/graph"
)

// TestOpenCLCodes writes packages of fewer bits from an export in float16, cut for an OpenCL
// device at once or later: the vision tower computes in float32 there, its weights stay codes,
// and the words are the cpu's.
func TestOpenCLCodes(t *testing.T) {
	all := Conversations(t)[:3] // of one picture each
	for _, spec := range []string{"int8", "int4"} {
		export := Export(t, "tjs-fp16")
		dir := quantized(t, export, spec, options(""), nil)
		here := chat(t, dir, options(""))
		var want []string
		for _, c := range all {
			a, err := here.Ask(t.Context(), c.Asking(t), greedy)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, a.Text)
		}
		for _, place := range []string{"opencl:0", "vision=opencl:0,llm=cpu"} {
			later := changed(t, dir, onOpenCL(place), func(s *mnnconv.Source) { codes(t, s, 22) })
			for _, there := range []string{later, quantized(t, export, spec, onOpenCL(place), nil)} {
				changed(t, there, onOpenCL(""), func(s *mnnconv.Source) { codes(t, s, 22) })
				s := chat(t, there, onOpenCL(""))
				for i, c := range all {
					a, err := s.Ask(t.Context(), c.Asking(t), greedy)
					if err != nil {
						t.Fatalf("%s on %s: %s: %v", spec, place, c.Name, err)
					}
					if a.Text != want[i] {
						t.Errorf("%s on %s: %s: %q, the cpu says %q", spec, place, c.Name, a.Text, want[i])
					}
				}
			}
		}
	}
}

// codes wants so many products of codes in a vision tower, all in float32.
func codes(t *testing.T, s *mnnconv.Source, want int) {
	t.Helper()
	found := 0
	for _, n := range s.Phases[0].Graph.Nodes {
		switch {
		case n.Op == "MatMulNBits" && n.Outputs[0].Type.DType == graph.Float32:
			found++
		case n.Op == "MatMulNBits" || n.Is("Gemm"):
			t.Errorf("%s computes %s", n.ID(), n.Outputs[0].Type)
		}
	}
	if found != want {
		t.Errorf("%d products of codes, want %d", found, want)
	}
}
