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
	"mnnconv/graph"
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
	const steps = 8
	i, before, called := 0, books.Books(), dev.Books()
	err := s.Steps(ctx, 3, steps, func() {
		after, calls := books.Books(), dev.Books()
		want := 1 // a step is started before the one in front of it is told
		if i == steps-1 {
			want = 0
		}
		if graphs, kernels := after.Graphs-before.Graphs, after.Kernels-before.Kernels; i > 2 && (graphs != want || kernels != 0) { // two take turns, which are launched one by one, then recorded
			t.Errorf("step %d: %d graphs and %d kernels were launched", i, graphs, kernels)
		}
		if graphs, kernels := int(calls.Graphs-called.Graphs), calls.Kernels-called.Kernels; i > 2 && !standin.Real() && (graphs != want || kernels != 0) {
			t.Errorf("step %d: the driver saw %d graphs and %d kernels", i, graphs, kernels)
		}
		i, before, called = i+1, after, calls
	})
	if err != nil || i != steps {
		t.Errorf("%d steps of %d: %v", i, steps, err)
	}
}

// BigModel names the folder that bigmodel -shape 3b wrote, for TestGPUBig.
const BigModel = "MNNCONV_GPU_BIG"

// TestGPUBig compares a model of the 3B shape with the cpu, on each GPU interface and cut
// across both: the first logits of 16 tokens, and the image rows of 64 patches, as
// TestAcceptBig compares them with onnxruntime's. All compute in the export's float16: each
// by itself would choose a type, and results of different types differ by more than kernels
// may. It needs a GPU.
func TestGPUBig(t *testing.T) {
	if !standin.Real() {
		return
	}
	dir := os.Getenv(BigModel)
	if dir == "" {
		t.Fatalf("%s names no folder", BigModel)
	}
	exported := typesOf(t, "vision=fp16")
	o := options("cpu")
	o.Load.Types = exported
	want := firstResults(t, dir, o)
	for _, place := range []string{"cuda:0", "opencl:0", "vision=cuda:0,llm=opencl:0", "llm.layers.0-17=cuda:0,llm=opencl:0,vision=opencl:0"} {
		t.Run(place, func(t *testing.T) {
			o := onGPUs(place)
			o.Load.Types = exported
			got := firstResults(t, dir, o)
			for _, what := range []string{"logits", "rows"} {
				worst, deviation := 0.0, deviationOf(want[what])
				if len(got[what]) != len(want[what]) {
					t.Fatalf("%d %s, want %d", len(got[what]), what, len(want[what]))
				}
				for i := range want[what] {
					if d := math.Abs(float64(got[what][i]) - float64(want[what][i])); !(d <= worst) {
						worst = d
					}
				}
				t.Logf("%s: largest error %.1e, %.1f %% of their deviation of %.2f", what, worst, 100*worst/deviation, deviation)
				if !(worst <= min(1e-2, deviation/20)) {
					t.Errorf("%s: want at most 1e-02 and 5 %%", what)
				}
			}
		})
	}
}

func deviationOf(x []float32) float64 {
	sum, squares := 0.0, 0.0
	for _, x := range x {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	mean := sum / float64(len(x))
	return math.Sqrt(squares/float64(len(x)) - mean*mean)
}

// firstResults runs a picture and a prompt, and closes everything.
func firstResults(t *testing.T, dir string, o mnnconv.Options) map[string][]float32 {
	out := map[string][]float32{}
	t.Run("run", func(t *testing.T) {
		s := chat(t, dir, o).(*qwen25vl.Session)
		const side, tokens = 8, 16
		ctx := context.Background()
		random := rand.New(rand.NewPCG(1, 2))
		var q qwen25vl.Prepared
		for i := range tokens {
			q.IDs = append(q.IDs, random.Int32N(500))
			for a := range q.Positions {
				q.Positions[a] = append(q.Positions[a], int64(i))
			}
		}
		pixels := make([]float32, side*side*1176)
		for i := range pixels {
			pixels[i] = graph.F16ToF32(graph.F32ToF16(float32(random.NormFloat64())))
		}
		rows, err := s.Encode(ctx, pixels, qwen25vl.Grid{T: 1, H: side, W: side})
		if err != nil {
			t.Fatal(err)
		}
		if out["rows"], err = rows.Float32s(); err != nil {
			t.Fatal(err)
		}
		prompt, err := s.Prepare(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		logits, err := s.Extend(ctx, prompt, 0)
		if err != nil {
			t.Fatal(err)
		}
		out["logits"] = slices.Clone(logits)
		out["rows"] = slices.Clone(out["rows"])
	})
	return out
}
