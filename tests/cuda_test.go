//go:build linux && !nogpu

package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/picture"
	"mnnconv/runtime"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/cuda/standin"
	"mnnconv/runtime/opencl"
)

// onGPUs are the options with the backends of GPUs.
func onGPUs(place string) mnnconv.Options {
	o := options(place)
	o.Backends = append(o.Backends, &cuda.Backend{}, &opencl.Backend{})
	return o
}

// asks asks reference questions and wants PyTorch's words.
func asks(t *testing.T, export, place string, conversations []Conversation) {
	t.Helper()
	answers(t, export, onGPUs(place), conversations)
}

// answers is asks with options.
func answers(t *testing.T, export string, o mnnconv.Options, conversations []Conversation) {
	t.Helper()
	if export == "olive-cpu-int4" { // its side files do not know the model's limits
		o.Load.MinPixels, o.Load.MaxPixels = 7056, 50176
	}
	s := chat(t, Export(t, export), o)
	for _, c := range conversations {
		a, err := s.Ask(context.Background(), c.Asking(t), greedy)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if a.Text != c.Text {
			t.Errorf("%s: %q, want %q", c.Name, a.Text, c.Text)
		}
	}
}

// TestCUDAAnswers asks on CUDA: one question on the stand-in, which is slow, all on a
// GPU.
func TestCUDAAnswers(t *testing.T) {
	standin.Use(t, "")
	all := Conversations(t)
	if !standin.Real() {
		all = all[:1]
	}
	asks(t, "tjs-fp16", "cuda:0", all)
}

// TestCUDAFeed has CUDA feed the decoder.
func TestCUDAFeed(t *testing.T) {
	standin.Use(t, "")
	all := Conversations(t)
	short := slices.IndexFunc(all, func(c Conversation) bool { return len(c.Files) == 0 }) // the stand-in is slow
	feeds(t, onGPUs("cuda:0"), all[short:short+1], "two", "whole")
}

// TestCPUAfterLostCUDA: a device that is lost in the midst of a question takes nothing of
// the process with it. The cpu answers as before, in a session of before and in a new one.
func TestCPUAfterLostCUDA(t *testing.T) {
	if standin.Real() {
		return // no fault can be made there without harm
	}
	dev := standin.Use(t, "fault=cuLaunchKernel:20:700")
	all := Conversations(t)
	c, dir := all[slices.IndexFunc(all, func(c Conversation) bool { return len(c.Files) > 0 })], Export(t, "tjs-fp16")
	before, lost := chat(t, dir, options("cpu")), chat(t, dir, onGPUs("vision=cuda:0"))
	if _, err := lost.Ask(t.Context(), c.Asking(t), greedy); !errors.Is(err, runtime.ErrLost) {
		t.Fatalf("the device is lost, and the question ends with %v", err)
	}
	calls := dev.Calls("")
	if _, err := lost.Ask(t.Context(), c.Asking(t), greedy); !errors.Is(err, runtime.ErrLost) || dev.Calls("") != calls {
		t.Errorf("the next question: %v, after %d calls of the driver", err, dev.Calls("")-calls)
	}
	for _, s := range []models.Session{before, chat(t, dir, options("cpu"))} {
		a, err := s.Ask(t.Context(), c.Asking(t), greedy)
		if err != nil || a.Text != c.Text {
			t.Errorf("%v, %v, want %q", a, err, c.Text)
		}
	}
}

// TestGPUPairs asks the seven conversations and twenty questions on every pair of devices
// for the vision tower and the language model. It needs a GPU with both drivers; elsewhere the pairs with
// other devices are tried by other tests.
func TestGPUPairs(t *testing.T) {
	if !standin.Real() {
		return
	}
	for _, place := range pairs() {
		exports := []string{"tjs-fp16"}
		if place == "vision=cuda:0,llm=opencl:0" {
			exports = append(exports, "tjs-q4f16", "olive-cpu-int4")
		}
		for _, export := range exports {
			t.Run(export+"/"+place, func(t *testing.T) {
				all := Conversations(t)
				if export == "tjs-fp16" { // what others answer is not known
					all = append(all, Questions(t)...)
				}
				asks(t, export, place, all)
			})
		}
	}
}

// TestGPUThousand asks about a thousand random pictures in one process, and wants its
// memory to stay.
func TestGPUThousand(t *testing.T) {
	if !standin.Real() {
		return
	}
	s := chat(t, Export(t, "tjs-fp16"), onGPUs("vision=cuda:0,llm=opencl:0"))
	r := rand.New(rand.NewPCG(1, 2))
	settings := greedy
	settings.Most = 3
	var resident, device [2]int
	for i := range 1000 {
		img := &picture.RGB{Width: 84 + 28*r.IntN(4), Height: 84 + 28*r.IntN(4)}
		img.Pix = make([]byte, 3*img.Width*img.Height)
		for k := range img.Pix {
			img.Pix[k] = byte(r.Uint32())
		}
		if _, err := s.Ask(context.Background(), models.Asking("Describe the picture.", models.Media{Frames: []*picture.RGB{img}}), settings); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		switch i {
		case 99:
			resident[0], device[0] = residentKB(t), deviceMiB(t)
		case 999:
			resident[1], device[1] = residentKB(t), deviceMiB(t)
		}
	}
	t.Logf("after 100 and 1000 requests: %v kB resident, %v MiB of the device", resident, device)
	if resident[1] > resident[0]+resident[0]/10 || device[1] != device[0] {
		t.Errorf("memory grew: %v kB resident, %v MiB of the device", resident, device)
	}
}

// residentKB is this process's resident memory.
func residentKB(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "VmRSS:")
	var kb int
	if _, err := fmt.Sscan(after, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}

// deviceMiB is what all programs use of the GPU's memory.
func deviceMiB(t *testing.T) int {
	t.Helper()
	out, err := exec.Command("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits").Output()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscan(string(out), &n); err != nil {
		t.Fatal(err)
	}
	return n
}
