//go:build !nogpu

package tests

import (
	"path/filepath"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/partition"
	"mnnconv/runtime"
	comparing "mnnconv/runtime/compare"
	"mnnconv/runtime/opencl"
)

// faultyOpenCL is OpenCL with a fault.
type faultyOpenCL struct {
	*opencl.Backend
	fault fault
}

func (b faultyOpenCL) Open(p partition.Profile) (runtime.Device, error) {
	d, err := b.Backend.Open(p)
	return faultyDevice{d, b.fault}, err
}

// TestCompareTies compares an answer in whose decode steps OpenCL's sums of squares end
// beside the reference's, so that a normalised number falls on the other side of a tie
// and moves the row of each product: no fault. What only the kernel of normalisation and
// products does wrong is one.
func TestCompareTies(t *testing.T) {
	q := Conversation{Name: "describe", Question: "Describe the image.", Files: []string{filepath.FromSlash("../models/tinyvl/demo/describe.png")}}.Asking(t)
	wrong := setting("RMSNormalization", "epsilon", float32(1e-3))
	wrong.fused = true
	for _, c := range []struct {
		name    string
		fault   fault
		verdict string
		say     string
	}{
		{"honest", fault{}, comparing.Same, "2 partitions and cpu agree"},
		{"wrong", wrong, comparing.Differs, "first at llm.layers.0.norm1 (RMSNormalization): each of the nodes that the kernel covers is right alone: the fault is in how they are fused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options("llm=opencl:0")
			o.Backends = append(o.Backends, faultyOpenCL{&opencl.Backend{}, c.fault})
			o.Session.Capacity = 128
			compare := compared(t, Export(t, "tjs-fp16"), o, mnnconv.CompareOptions{})
			if err := compare.Ask(t.Context(), q, 4); err != nil {
				t.Fatal(err)
			}
			if r := compare.Report(); r.Verdict != c.verdict || !strings.Contains(r.Sentence, c.say) {
				t.Errorf("%s: %s", r.Verdict, r.Sentence)
			}
		})
	}
}
