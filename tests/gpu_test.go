//go:build linux && !nogpu

package tests

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"mnnconv"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/cuda/standin"
	"mnnconv/runtime/gpu"
)

// TestCUDADecodeIsOneLaunch counts what a decode step launches, from the third on: one
// graph, and nothing beside it.
func TestCUDADecodeIsOneLaunch(t *testing.T) {
	dev := standin.Use(t, "")
	var books interface{ Books() cuda.Books }
	o := options("cuda:0")
	o.Backends = append(o.Backends, &cuda.Backend{Wrap: func(d gpu.Driver) gpu.Driver {
		books = d.(interface{ Books() cuda.Books })
		return d
	}})
	s := chat(t, Export(t, "tjs-fp16"), o).(*qwen25vl.Session)
	ctx := context.Background()
	if err := s.Prefill(ctx, 3); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		before, called := books.Books(), dev.Books()
		if err := s.Step(ctx, 3+i); err != nil {
			t.Fatal(err)
		}
		after, calls := books.Books(), dev.Books()
		if i < 2 { // launched one by one, then recorded
			continue
		}
		if graphs, kernels := after.Graphs-before.Graphs, after.Kernels-before.Kernels; graphs != 1 || kernels != 0 {
			t.Errorf("step %d: %d graphs and %d kernels were launched", i, graphs, kernels)
		}
		if graphs, kernels := calls.Graphs-called.Graphs, calls.Kernels-called.Kernels; !standin.Real() && (graphs != 1 || kernels != 0) {
			t.Errorf("step %d: the driver saw %d graphs and %d kernels", i, graphs, kernels)
		}
	}
}

// BigModel names the folder that bigmodel -shape 3b wrote, for TestGPUBig.
const BigModel = "MNNCONV_GPU_BIG"

// TestGPUBig compares the first logits of a model of the 3B shape with the cpu's, on each
// GPU interface and cut across both, behind a picture. It needs a GPU.
func TestGPUBig(t *testing.T) {
	if !standin.Real() {
		return
	}
	dir := os.Getenv(BigModel)
	if dir == "" {
		t.Fatalf("%s names no folder", BigModel)
	}
	want := firstLogits(t, dir, options("cpu"))
	sum, squares := 0.0, 0.0
	for _, x := range want {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	mean := sum / float64(len(want))
	deviation := math.Sqrt(squares/float64(len(want)) - mean*mean)
	for _, place := range []string{"cuda:0", "opencl:0", "vision=cuda:0,llm=opencl:0", "llm.layers.0-17=cuda:0,llm=opencl:0,vision=opencl:0"} {
		t.Run(place, func(t *testing.T) {
			got := firstLogits(t, dir, onGPUs(place))
			worst := 0.0
			for i := range want {
				if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= worst) {
					worst = d
				}
			}
			t.Logf("largest error %.1e, %.1f %% of the logits' deviation of %.2f", worst, 100*worst/deviation, deviation)
			if len(got) != len(want) || !(worst <= min(1e-2, deviation/20)) {
				t.Errorf("want at most 1e-02 and 5 %%")
			}
		})
	}
}

// firstLogits runs a prompt of a picture and eleven words, and closes everything.
func firstLogits(t *testing.T, dir string, o mnnconv.Options) (logits []float32) {
	t.Run("run", func(t *testing.T) {
		s := chat(t, dir, o).(*qwen25vl.Session)
		const side, rows = 8, 16 // patches, and what becomes of them
		var q qwen25vl.Prepared
		random := rand.New(rand.NewPCG(1, 2))
		q.Grids = []qwen25vl.Grid{{T: 1, H: side, W: side}}
		q.Pixels = make([]float32, side*side*1176)
		for i := range q.Pixels {
			q.Pixels[i] = float32(random.NormFloat64())
		}
		for i := range rows + 11 {
			id := random.Int32N(500)
			if i >= 3 && i < 3+rows {
				id = 151655
			}
			q.IDs = append(q.IDs, id)
			for a := range q.Positions {
				q.Positions[a] = append(q.Positions[a], int64(i))
			}
		}
		ctx := context.Background()
		prompt, err := s.Prepare(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Extend(ctx, prompt, 0)
		if err != nil {
			t.Fatal(err)
		}
		logits = slices.Clone(out)
	})
	return logits
}
