//go:build linux && !nogpu

package tests

import (
	"errors"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime/cuda/standin"
)

// TestGPUStates keeps keys and values in each type that a state may have beside GPUs, and wants
// PyTorch's words. A GPU keeps them as its attention computes: another type is refused
// before anything is opened, with the node, the device and what to do.
func TestGPUStates(t *testing.T) {
	standin.Use(t, "")
	all := Conversations(t)[:1]
	placements := []string{"llm=opencl:0", "llm.layers.1=cuda:0", "vision=opencl:0,llm=cpu"}
	if standin.Real() {
		all = Conversations(t)
		placements = append(pairs(), "llm.layers.0-1=cuda:0,llm=opencl:0")
	}
	for _, place := range placements {
		for _, state := range []graph.DType{graph.Float32, graph.Float16, graph.BFloat16, graph.Int8} {
			t.Run(place+"/"+state.String(), func(t *testing.T) {
				o := onGPUs(place)
				o.Load.State = state
				if state == graph.Float16 || strings.HasSuffix(place, "llm=cpu") {
					answers(t, "tjs-fp16", o, all)
					return
				}
				src, err := mnnconv.Load(Export(t, "tjs-fp16"), o)
				if err != nil {
					t.Fatal(err)
				}
				closes(t, src)
				_, err = mnnconv.Plan(src, o)
				if !errors.Is(err, partition.ErrPlacement) {
					t.Fatalf("%v, want %v", err, partition.ErrPlacement)
				}
				for _, what := range []string{"llm.layers.", "attn", ":0", state.String(), "float16", "--state"} {
					if !strings.Contains(err.Error(), what) {
						t.Errorf("%v: it does not name %q", err, what)
					}
				}
			})
		}
	}
}
