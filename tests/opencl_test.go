//go:build !nogpu

package tests

import (
	"context"
	"slices"
	"sync"
	"testing"

	"mnnconv"
	"mnnconv/runtime/opencl"
)

// onOpenCL are the options with OpenCL devices.
func onOpenCL(place string) mnnconv.Options {
	o := options(place)
	o.Backends = append(o.Backends, &opencl.Backend{})
	return o
}

// TestOpenCLAnswers asks the reference questions of the small model on an OpenCL device
// and on every pair of it with cpu and sim, and wants PyTorch's words.
func TestOpenCLAnswers(t *testing.T) {
	for _, place := range []string{
		"opencl:0", "vision=opencl:0,llm=cpu", "vision=cpu,llm=opencl:0", "vision=opencl:0,llm=sim:0", "vision=sim:0,llm=opencl:0",
	} {
		s := chat(t, Export(t, "tjs-fp16"), onOpenCL(place))
		for _, c := range Conversations(t) {
			a, err := s.Ask(t.Context(), c.Asking(t), greedy)
			if err != nil {
				t.Fatalf("%s: %s: %v", place, c.Name, err)
			}
			if a.Text != c.Text {
				t.Errorf("%s: %s: %q, want %q", place, c.Name, a.Text, c.Text)
			}
		}
	}
}

// TestOpenCLQuantized wants a model of 4-bit weights to give the cpu's tokens.
func TestOpenCLQuantized(t *testing.T) {
	for _, export := range []string{"tjs-q4f16", "olive-cpu-int4"} {
		folder := Export(t, export)
		here, there := chat(t, folder, options("cpu")), chat(t, folder, onOpenCL("opencl:0"))
		for _, c := range Conversations(t)[:2] {
			q := c.Asking(t)
			want, err := here.Ask(t.Context(), q, greedy)
			if err != nil {
				t.Fatal(err)
			}
			got, err := there.Ask(t.Context(), q, greedy)
			if err != nil {
				t.Fatal(err)
			}
			if got.Text != want.Text {
				t.Errorf("%s: %s: %q, the cpu says %q", export, c.Name, got.Text, want.Text)
			}
		}
	}
}

// TestOpenCLBatch answers in slots at the same time what one session answers.
func TestOpenCLBatch(t *testing.T) {
	dir, o := Export(t, "tjs-fp16"), onOpenCL("llm=opencl:0")
	var wg sync.WaitGroup
	all := Conversations(t)
	want := make([][]int32, len(all))
	alone := chat(t, dir, o)
	for i, c := range all {
		a, err := alone.Ask(context.Background(), c.Asking(t), greedy)
		if err != nil {
			t.Fatal(err)
		}
		want[i] = a.Tokens
	}
	for k, s := range slots(t, dir, o, 3) {
		wg.Go(func() {
			for i := k; i < len(all); i += 3 {
				a, err := s.Ask(context.Background(), all[i].Asking(t), greedy)
				if err != nil || !slices.Equal(a.Tokens, want[i]) {
					t.Errorf("%s: %v, error %v, alone %v", all[i].Name, a, err, want[i])
				}
			}
		})
	}
	wg.Wait()
}

// TestOpenCLFeed has an OpenCL device feed the decoder.
func TestOpenCLFeed(t *testing.T) {
	feeds(t, onOpenCL("opencl:0"), Conversations(t)[:1], "one", "cancelled", "whole")
}

// TestOpenCLOverflow has a GPU's interface compute a vision tower that overflows float16:
// in bfloat16, unless one has it compute in float16.
func TestOpenCLOverflow(t *testing.T) {
	dir := overflowing(t)
	overflows(t, dir, onOpenCL("vision=opencl:0"), "", "")
	overflows(t, dir, onOpenCL("vision=opencl:0"), "vision=fp16", "vision.blocks.1.mlp.mul")
}
