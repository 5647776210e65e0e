package pack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/disk"
	"mnnconv/schemas/onnx"
)

// each lowers every node to a kernel of its own.
type each struct{}

func (each) Lower(_ partition.Profile, g *graph.Graph) ([]partition.Kernel, error) {
	var out []partition.Kernel
	for _, n := range g.Nodes {
		out = append(out, partition.Kernel{Name: n.Op, Nodes: []*graph.Node{n}})
	}
	return out, nil
}

// planned is y = relu(x·w) with relu on sim:0, from an export of opset 17.
func planned(t *testing.T, phase string, w *graph.Tensor) *partition.Plan {
	t.Helper()
	g := graph.New(phase)
	x := g.NewInput("x", graph.TensorOf(graph.Float32, "n", 64))
	weight := g.NewConst("w", w)
	product := g.NewNode("", "MatMul", 17, []*graph.Value{x, weight}, "product")
	product.Name, product.Path = "node", "llm.layers.0.q"
	relu := g.NewNode("", "Relu", 17, []*graph.Value{product.Outputs[0]}, "y")
	relu.Name, relu.Path = "node", "head"
	product.Outputs[0].Type, relu.Outputs[0].Type = x.Type, x.Type
	g.Append(product, relu)
	g.Outputs = []*graph.Value{relu.Outputs[0]}
	rules, err := partition.ParseRules("head=sim:0")
	if err != nil {
		t.Fatal(err)
	}
	var targets []partition.Target
	for _, name := range []string{"cpu", "sim:0"} {
		targets = append(targets, partition.Target{Profile: partition.Profile{Name: name, Align: 64}, Lowerer: each{}})
	}
	p, err := partition.Build(phase, g, rules, targets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// identity is the body of Copy.
func identity() onnx.Function {
	g := graph.New("Copy")
	in := g.NewInput("input", graph.Type{})
	n := g.NewNode("", "Identity", Opset, []*graph.Value{in}, "output")
	g.Append(n)
	g.Outputs = n.Outputs
	return onnx.Function{Domain: "mnnconv", Name: "Copy", Attrs: []string{"from", "to"}, Graph: g}
}

// example is a package of two phases that share a weight.
func example(t *testing.T) Package {
	t.Helper()
	w := graph.Floats(make([]float32, 64*64), 64, 64)
	for i := range w.Data {
		w.Data[i] = byte(i)
	}
	src := t.TempDir()
	for _, name := range []string{"model.onnx", "tokenizer.json"} {
		if err := os.WriteFile(filepath.Join(src, name), []byte("bytes of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := Hash(t.Context(), src, "model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	return Package{
		Tool: "mnnconv test", Plans: []*partition.Plan{planned(t, "encode", w), planned(t, "extend", w)},
		Source: Source{Files: []File{file}, Architecture: "qwen2.5-vl", Family: "torch", Settings: map[string]int64{"window": 4}},
		Rules:  "head=sim:0", Contracts: map[string]int{"schema_version": 1},
		Functions: []onnx.Function{identity(), {Domain: "mnnconv", Name: "NotUsed", Graph: identity().Graph}},
		Side:      []string{filepath.Join(src, "tokenizer.json"), filepath.Join(src, "made")},
		Made:      []Made{{"made", func() ([]byte, error) { return []byte("anew"), nil }}},
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model.mnnc")
	if Is(dir) {
		t.Error("what is not there is a package")
	}
	if err := Write(t.Context(), dir, example(t), Options{}); err != nil {
		t.Fatal(err)
	}
	if !Is(dir) {
		t.Error("what was written is no package")
	}
	var got plan
	text, err := os.ReadFile(filepath.Join(dir, planFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	const sum = "c103b443fbbcb0e60b247d0ccd9c3983b35a00d4f6e760f4aa99fad764fff05c"
	if f := got.Source.Files; len(f) != 1 || f[0].Name != "model.onnx" || f[0].Bytes != 19 || f[0].SHA256 != sum {
		t.Errorf("source files %+v", f)
	}
	ph := got.Phases[1]
	if len(ph.Copies) != 2 || ph.Copies[0].Value != "product" || ph.Copies[0].From != "cpu" || ph.Copies[0].To != "sim:0" || ph.Opsets[""] != Opset {
		t.Errorf("phase %+v", ph)
	}
	if p := ph.Partitions; len(p) != 2 || p[1].Target != "sim:0" || p[1].Kernels[0].Nodes[0] != "y" {
		t.Errorf("partitions %+v", p)
	}
	if got.Weights.Bytes != 64*64*4 {
		t.Errorf("the shared weight takes %d bytes", got.Weights.Bytes)
	}
	side, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if err != nil || string(side) != "bytes of tokenizer.json" {
		t.Errorf("side file %q, %v", side, err)
	}
	if made, err := os.ReadFile(filepath.Join(dir, "made")); err != nil || string(made) != "anew" { // no file of that name is among those carried along
		t.Errorf("made file %q, %v", made, err)
	}

	m, err := onnx.Load(filepath.Join(dir, "extend.onnx"), onnx.Options{Annotations: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Opsets[""] != Opset || m.Graph.Nodes[0].Path != "llm.layers.0.q" || m.Graph.Nodes[0].Target != "cpu" {
		t.Errorf("opsets %v, first node %+v", m.Opsets, m.Graph.Nodes[0])
	}
	names := map[string]bool{}
	for _, n := range m.Graph.Nodes {
		if names[n.Name] {
			t.Errorf("two nodes are called %s", n.Name)
		}
		names[n.Name] = true
	}
	w := m.Graph.Nodes[0].Inputs[1].Const
	if w == nil || w.Source == nil || w.Source.File != weightsFile || w.Source.Offset%align != 0 || w.Data[77] != 77 {
		t.Errorf("weight %+v", w)
	}
}

func TestWriteReplaces(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model.mnnc")
	p := example(t)
	if err := Write(t.Context(), dir, p, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Write(t.Context(), dir, p, Options{}); !errors.Is(err, ErrExists) {
		t.Errorf("written twice: %v", err)
	}
	extra := filepath.Join(dir, "extra")
	if err := os.WriteFile(extra, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(t.Context(), dir, p, Options{Force: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(extra); err == nil {
		t.Error("the old package's file is still there")
	}
	alone(t, parent)

	other := filepath.Join(parent, "other.mnnc")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(t.Context(), other, p, Options{Force: true}); !errors.Is(err, ErrExists) {
		t.Errorf("a folder that is no package was replaced: %v", err)
	}
	if err := Write(t.Context(), filepath.Join(parent, "none", "model.mnnc"), p, Options{}); !errors.Is(err, disk.ErrWrite) {
		t.Errorf("into a folder that is not there: %v", err)
	}
}

// alone fails if anything but the package lies in the folder.
func alone(t *testing.T, parent string) {
	t.Helper()
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) != 1 || entries[0].Name() != "model.mnnc" {
		t.Errorf("in the folder: %v %v", entries, err)
	}
}

// TestWriteEnds cancels the writing at each of its steps: the old package stays
// and nothing else does.
func TestWriteEnds(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model.mnnc")
	p := example(t)
	if err := Write(t.Context(), dir, p, Options{}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, planFile))
	if err != nil {
		t.Fatal(err)
	}
	p.Tool = "mnnconv newer"
	cause := errors.New("stop")
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		steps := 0
		err := Write(ctx, dir, p, Options{Force: true, Wrote: func(int64) {
			if steps++; steps == n {
				cancel(cause)
			}
		}})
		alone(t, parent)
		after, _ := os.ReadFile(filepath.Join(dir, planFile))
		if err == nil {
			if n < 5 {
				t.Errorf("%d steps are few", n)
			}
			if bytes.Equal(before, after) {
				t.Error("the package was not replaced")
			}
			return
		}
		if !errors.Is(err, cause) || !bytes.Equal(before, after) {
			t.Fatalf("cancelled at step %d: %v", n, err)
		}
	}
}

// TestTwoWriters: the second is refused while the first writes, and only then.
func TestTwoWriters(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model.mnnc")
	p := example(t)
	var second error
	err := Write(t.Context(), dir, p, Options{Wrote: func(int64) {
		if second == nil {
			second = Write(t.Context(), dir, p, Options{Force: true})
		}
	}})
	if err != nil {
		t.Error(err)
	}
	if !errors.Is(second, disk.ErrBusy) {
		t.Errorf("the second writer: %v", second)
	}
	alone(t, parent)
	if err := Write(t.Context(), dir, p, Options{Force: true}); err != nil {
		t.Error(err)
	}
	alone(t, parent)
}

// TestManyWriters: of many writers at once each writes all or is refused, and a
// reader finds a whole package at any time.
func TestManyWriters(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "model.mnnc")
	p := example(t)
	if err := Write(t.Context(), dir, p, Options{}); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	var wrote atomic.Int64
	for range 8 {
		writers.Go(func() {
			for range 5 {
				err := Write(t.Context(), dir, p, Options{Force: true})
				switch {
				case err == nil:
					wrote.Add(1)
				case !errors.Is(err, disk.ErrBusy):
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		if _, err := readPlan(filepath.Join(dir, planFile)); err != nil {
			t.Errorf("while others write: %v", err)
			reading = false
		}
	}
	<-done
	if wrote.Load() == 0 {
		t.Error("nobody wrote")
	}
	alone(t, parent)
}

// childDir names the package that a child process writes; childSteps how many
// steps it goes before it waits to be killed.
const childDir, childSteps = "PACK_TEST_DIR", "PACK_TEST_STEPS"

// writeAsChild writes a package, says so, and never ends where it is to be killed.
func writeAsChild(t *testing.T, dir string) {
	left, err := strconv.Atoi(os.Getenv(childSteps))
	if err != nil {
		t.Fatal(err)
	}
	p := example(t)
	p.Tool = "mnnconv child"
	err = Write(t.Context(), dir, p, Options{Force: true, Wrote: func(int64) {
		if left--; left == 0 {
			fmt.Println("waits")
			time.Sleep(time.Hour)
		}
	}})
	fmt.Println("wrote", err)
}

// TestKilled kills a writer at each of its steps: the old package stays, and the
// next writer removes what was left.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		writeAsChild(t, dir)
		return
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "model.mnnc")
	p := example(t)
	for steps, waits := 1, true; waits; steps++ {
		if err := Write(t.Context(), dir, p, Options{Force: true}); err != nil {
			t.Fatal(err)
		}
		alone(t, parent)
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprint(childSteps, "=", steps))
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		said, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if waits = said == "waits\n"; waits {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := child.Wait(); err == nil {
				t.Error("the child was not killed")
			}
		} else if err := child.Wait(); err != nil || said != "wrote <nil>\n" || steps < 5 {
			t.Errorf("after %d steps the child says %q and ends with %v", steps, said, err)
		}
		x, err := Open(dir, onnx.Options{})
		if err != nil {
			t.Fatalf("killed at step %d: %v", steps, err)
		}
		if want := map[bool]string{true: p.Tool, false: "mnnconv child"}[waits]; x.Tool != want {
			t.Errorf("after step %d the package is of %s, want %s", steps, x.Tool, want)
		}
		x.Close()
	}
}

// TestOpenMaps: no weight is copied when a package is opened.
func TestOpenMaps(t *testing.T) {
	p := example(t)
	w := graph.Floats(make([]float32, 64<<18), 64, 1<<18) // 64 MB
	p.Plans = []*partition.Plan{planned(t, "encode", w)}
	dir := written(t, p)
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	x, err := Open(dir, onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	goruntime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("opening 64 MB of weights took %d bytes", n)
	}
}
