//go:build linux && !nogpu

package tests

import (
	"math"
	"testing"

	"mnnconv"
	comparing "mnnconv/runtime/compare"
	"mnnconv/runtime/cuda/standin"
)

// TestGPUCompare compares models on GPUs with the operators' definitions, as the command
// does: each partition and each kernel alone, and all of them one after the other. On a
// GPU these are all pairs of devices, elsewhere what PoCL and the stand-in do in time.
func TestGPUCompare(t *testing.T) {
	type run struct{ export, place string }
	runs := []run{{"tjs-fp16", "opencl:0"}, {"tjs-fp16", "vision=cuda:0"}}
	if standin.Real() {
		runs = []run{{"tjs-q4f16", "vision=cuda:0,llm=opencl:0"}, {"olive-cpu-int4", "vision=cuda:0,llm=opencl:0"}}
		for _, place := range pairs() {
			runs = append(runs, run{"tjs-fp16", place})
		}
	}
	standin.Use(t, "")
	all := Conversations(t)
	for _, r := range runs {
		t.Run(r.export+"/"+r.place, func(t *testing.T) {
			o := onGPUs(r.place)
			o.Session.Capacity = 128
			o.Load.MinPixels, o.Load.MaxPixels = 7056, 25088
			c := compared(t, Export(t, r.export), o, mnnconv.CompareOptions{})
			if err := ask(t, c, all)(); err != nil {
				t.Fatal(err)
			}
			report := c.Report()
			if report.Verdict != comparing.Same || report.Calls != 4 {
				t.Errorf("%s, %d calls: %s", report.Verdict, report.Calls, report.Sentence)
			}
			worst := 0.0
			for _, x := range report.Tensors {
				if x.Tolerance > 0 {
					worst = max(worst, x.Max/x.Tolerance)
				}
				if math.IsNaN(x.Mean) || x.NaN+x.Inf > 0 {
					t.Errorf("%+v", x)
				}
			}
			t.Logf("%s; at worst %.0f %% of the tolerance", report.Sentence, 100*worst)
		})
	}
}

// pairs are the placements of the vision tower and the language model on the cpu and on
// the two interfaces of a GPU.
func pairs() []string {
	var out []string
	devices := []string{"cpu", "cuda:0", "opencl:0"}
	for _, vision := range devices {
		for _, llm := range devices {
			out = append(out, "vision="+vision+",llm="+llm)
		}
	}
	return out
}
