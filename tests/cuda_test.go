//go:build linux && !nogpu

package tests

import (
	"context"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/cuda/standin"
)

// onCUDA are the options with CUDA devices, for which the stand-in stands where the
// test says so.
func onCUDA(place string) mnnconv.Options {
	o := options(place)
	o.Backends = append(o.Backends, &cuda.Backend{})
	return o
}

// TestCUDAAnswers asks reference questions of the small model on CUDA, and
// wants PyTorch's words.
func TestCUDAAnswers(t *testing.T) {
	standin.Use(t, "")
	s := chat(t, Export(t, "tjs-fp16"), onCUDA("cuda:0"))
	for _, c := range Conversations(t)[:1] {
		a, err := s.Ask(context.Background(), models.Asking(c.Question, media(t, c)...), greedy)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if a.Text != c.Text {
			t.Errorf("%s: %q, want %q", c.Name, a.Text, c.Text)
		}
	}
}
