//go:build accept

package accept

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/npy"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

// TestAcceptBig generates a model of the 3B one's shape, inspects it, and compares
// logits and image rows with onnxruntime's. A small model goes the same way first.
func TestAcceptBig(t *testing.T) {
	python := onnxruntime(t)
	for _, shape := range []string{"tiny", "3b"} {
		t.Run(shape, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), shape)
			start := time.Now()
			run(t, "../..", program(t, "./tests/bigmodel"), "-shape", shape, "-o", dir)
			t.Logf("%.1f GB made in %.1f s", float64(size(t, dir, "*"))/1e9, time.Since(start).Seconds())
			if shape == "3b" {
				inspect(t, dir)
			}
			work := t.TempDir()
			inputs(t, work)
			var m modelRun
			call(t, "model", &m, dir, work)
			run(t, ".", python, "testdata/reference.py", dir, work, work)
			compareWith(t, shape, work)
			// Of the table of embeddings 16 rows are read, and no page is in memory
			// because of the rest.
			file := size(t, dir, "onnx/vision_*") + size(t, dir, "onnx/decoder_*")
			bound := file + m.KV + m.Scratch + 200e6
			tests.Row(t, m.Memory <= bound, "peak memory, "+shape+" shape", fmt.Sprintf("≤ file + KV + planned scratch + 200 MB = %.2f GB", float64(bound)/1e9),
				"%.2f GB (files of vision and decoder %.2f, KV %.3f, scratch %.3f)", float64(m.Memory)/1e9, float64(file)/1e9, float64(m.KV)/1e9, float64(m.Scratch)/1e9)
			t.Logf("opened in %.2f s, 64 patches in %.2f s, 16 tokens in %.2f s", m.Open.Seconds(), m.Encode.Seconds(), m.Extend.Seconds())
		})
	}
}

// inspect measures the command, which reads no weight.
func inspect(t *testing.T, dir string) {
	t.Helper()
	took, memory := time.Hour, int64(0)
	for range 3 {
		p := measure(t, program(t, "./cmd/mnnconv"), "inspect", dir)
		took, memory = min(took, p.Took), max(memory, p.Memory)
	}
	tests.Row(t, took <= time.Second, "time of `inspect`, 3b shape", "≤ 1 s", "%.2f s, the best of 3", took.Seconds())
	tests.Row(t, memory <= 200e6, "memory of `inspect`, 3b shape", "≤ 200 MB", "%.0f MB, the worst of 3", float64(memory)/1e6)
}

// TestAcceptImport reads an export of the 3B model's shape whose external data is
// sparse, by a process of its own that inspects it.
func TestAcceptImport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "3b")
	run(t, "../..", program(t, "./tests/bigmodel"), "-shape", "3b", "-sparse", "-o", dir)
	graphs := size(t, dir, "onnx/*.onnx")
	took, memory := time.Hour, int64(0)
	for range 3 {
		p := measure(t, program(t, "./cmd/mnnconv"), "inspect", dir)
		took, memory = min(took, p.Took), max(memory, p.Memory)
	}
	tests.Row(t, took <= 3*time.Second, "import of a 3b-shape export with sparse external data", "≤ 3 s", "%.2f s, the best of 3; %.1f GB of external data", took.Seconds(), float64(size(t, dir, "onnx/*_data"))/1e9)
	tests.Row(t, memory-graphs <= 300e6, "memory of that import", "≤ 300 MB over the graph files", "%.0f MB over %.1f MB, the worst of 3", float64(memory-graphs)/1e6, float64(graphs)/1e6)
}

// inputs writes 16 tokens and a picture of 64 patches.
func inputs(t *testing.T, dir string) {
	t.Helper()
	const tokens, patches = 16, 64
	random := rand.New(rand.NewPCG(1, 2))
	ids, positions := make([]int64, tokens), make([]int64, 3*tokens)
	for i := range ids {
		ids[i] = random.Int64N(500)
	}
	for i := range positions {
		positions[i] = int64(i % tokens)
	}
	pixels := make([]float32, patches*1176)
	for i := range pixels {
		pixels[i] = graph.F16ToF32(graph.F32ToF16(float32(random.NormFloat64())))
	}
	for name, x := range map[string]*graph.Tensor{
		"ids": graph.Ints(ids, 1, tokens), "positions": graph.Ints(positions, 3, 1, tokens),
		"pixels": graph.Floats(pixels, patches, 1176), "grid": graph.Ints([]int64{1, 8, 8}, 1, 3),
	} {
		if err := npy.Write(nil, filepath.Join(dir, name+".npy"), x); err != nil {
			t.Fatal(err)
		}
	}
}

// modelRun is what a process measured of itself.
type modelRun struct {
	Open, Encode, Extend time.Duration
	KV, Scratch, Memory  int64 // bytes
}

// model is a process that runs a model folder over inputs, and writes its logits
// and image rows beside them.
func model(dir, work string) error {
	read := func(name string) *graph.Tensor {
		x, err := npy.Read(filepath.Join(work, name+".npy"))
		if err != nil {
			panic(err)
		}
		return x
	}
	var m modelRun
	const capacity = 1024
	ctx := context.Background()
	start := time.Now()
	table := op.All()
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind}, Backends: []runtime.Backend{&cpu.Backend{Table: table}}}
	source, err := mnnconv.Load(dir, o)
	if err != nil {
		return err
	}
	p, err := mnnconv.Open(source, o)
	if err != nil {
		return err
	}
	chat, err := p.Chat(capacity)
	if err != nil {
		return err
	}
	s := chat.(*qwen25vl.Session)
	m.Open = time.Since(start)

	start = time.Now()
	g := graph.View[int64](read("grid"))
	rows, err := s.Encode(ctx, graph.View[float32](read("pixels")), qwen25vl.Grid{T: g[0], H: g[1], W: g[2]})
	if err != nil {
		return err
	}
	m.Encode = time.Since(start)
	f, err := rows.Float32s()
	if err != nil {
		return err
	}
	if err := npy.Write(nil, filepath.Join(work, "our_rows.npy"), graph.Floats(f, rows.Shape...)); err != nil {
		return err
	}

	start = time.Now()
	prompt, err := s.Prepare(ctx, prepare(map[string]*graph.Tensor{"input_ids": read("ids"), "position_ids": read("positions")}))
	if err != nil {
		return err
	}
	logits, err := s.Extend(ctx, prompt, 0)
	if err != nil {
		return err
	}
	m.Extend = time.Since(start)
	if err := npy.Write(nil, filepath.Join(work, "our_logits.npy"), graph.Floats(logits)); err != nil {
		return err
	}

	for _, plan := range p.Plans {
		for _, state := range plan.Graph.States {
			shape, err := state.In.Type.Shape.Eval(graph.Env{"capacity": capacity, "batch": 1})
			if err != nil {
				return err
			}
			n, err := graph.Elements(shape)
			if err != nil {
				return err
			}
			bytes, _ := state.In.Type.DType.Bytes(n)
			m.KV += bytes
		}
	}
	for _, need := range s.Memory() { // phases lie over each other
		m.Scratch = max(m.Scratch, need.Bytes)
	}
	if m.Memory, err = peak(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// peak returns the bytes that this process had resident at most.
func peak() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(kb, 10, 64)
	return n << 10, err
}

// compareWith compares what the process wrote with onnxruntime's.
func compareWith(t *testing.T, shape, work string) {
	t.Helper()
	all := files(t, work)
	for _, c := range []struct{ what, name string }{{"first-step logits of 16 tokens", "logits"}, {"image rows of 64 patches", "rows"}} {
		want := graph.View[float32](all[c.name])
		sum, squares := 0.0, 0.0
		for _, x := range want {
			sum += float64(x)
			squares += float64(x) * float64(x)
		}
		mean := sum / float64(len(want))
		deviation := math.Sqrt(squares/float64(len(want)) - mean*mean)
		d := worst(t, all["our_"+c.name], all[c.name])
		tests.Row(t, d <= min(1e-2, deviation/20), c.what+", "+shape+" shape, against onnxruntime", "max error ≤ 1e-02, and ≤ 5 % of their deviation",
			"%.1e, %.1f %% of %.2f", d, 100*d/deviation, deviation)
	}
}

// size returns the bytes of the files that a pattern names.
func size(t *testing.T, dir, pattern string) int64 {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			n += size(t, p, "*")
			continue
		}
		n += info.Size()
	}
	return n
}

// onnxruntime installs it, and more if asked for, and returns the Python that has it.
func onnxruntime(t *testing.T, more ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "python")
	run(t, ".", "python3", "-m", "venv", dir)
	python := filepath.Join(dir, "bin", "python")
	run(t, ".", append([]string{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "onnxruntime==1.32.0", "numpy==2.4.6"}, more...)...)
	return python
}
