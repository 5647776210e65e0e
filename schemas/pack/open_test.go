package pack

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/onnx"
)

// written writes the example and returns its folder.
func written(t *testing.T, p Package) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model.mnnc")
	if err := Write(t.Context(), dir, p, Options{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// replan plans an opened package's graphs as they are placed.
func replan(t *testing.T, x *Opened) []*partition.Plan {
	t.Helper()
	var targets []partition.Target
	for _, name := range []string{"cpu", "sim:0"} {
		targets = append(targets, partition.Target{Profile: partition.Profile{Name: name, Align: 64}, Lowerer: each{}})
	}
	var plans []*partition.Plan
	for _, ph := range x.Phases {
		p, err := partition.Placed(ph.Name, ph.Graph, targets)
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, p)
	}
	return plans
}

func TestOpen(t *testing.T) {
	p := example(t)
	x, err := Open(written(t, p), onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if x.Tool != p.Tool || x.Rules != p.Rules || x.Source.Family != "torch" || x.Source.Settings["window"] != 4 {
		t.Errorf("opened %+v", x)
	}
	if err := x.CheckWeights(t.Context()); err != nil {
		t.Error(err)
	}
	if side := x.Side(); len(side) != 2 || filepath.Base(side[0]) != "made" || filepath.Base(side[1]) != "tokenizer.json" {
		t.Errorf("side files %v", side)
	}
	if sum := x.Sum("made"); sum != "998cfe1402844f4984021d4619c2301d9c6d5a88006b92f903f481214ad6f9c5" || x.Sum("none") != "" {
		t.Errorf("hash %s of a side file, %q of none", sum, x.Sum("none"))
	}
	plans := replan(t, x)
	if err := x.CheckPlans(plans); err != nil {
		t.Error(err)
	}
	a, b := plans[0].Graph, p.Plans[0].Graph
	if a.Outputs[0].Name != b.Outputs[0].Name || a.Outputs[0].Def.Inputs[0].Name != b.Outputs[0].Def.Inputs[0].Name {
		t.Errorf("output %q of %q, want %q of %q", a.Outputs[0].Name, a.Outputs[0].Def.Inputs[0].Name, b.Outputs[0].Name, b.Outputs[0].Def.Inputs[0].Name)
	}
	for i, n := range a.Nodes {
		if want := b.Nodes[i]; n.Target != want.Target || n.Cause != want.Cause || n.Path != want.Path {
			t.Errorf("node %d: %+v, want %+v", i, n, want)
		}
	}

	// Placed anew, the graph has no copies left but those of the new placement.
	partition.Unplace(a)
	if len(a.Nodes) != 2 || a.Outputs[0].Name != "y" {
		t.Errorf("%d nodes without copies, output %q", len(a.Nodes), a.Outputs[0].Name)
	}
	if err := graph.Verify(a); err != nil {
		t.Error(err)
	}
}

// TestOutputNames: for other runtimes a cut graph's outputs are called as the
// uncut one's.
func TestOutputNames(t *testing.T) {
	m, err := onnx.Load(filepath.Join(written(t, example(t)), "encode.onnx"), onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if name := m.Graph.Outputs[0].Name; name != "y" {
		t.Errorf("output %q, want y", name)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := func(dir, name string) string { return filepath.Join(dir, name) }
	replace := func(t *testing.T, path, old, with string) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(text, []byte(old), []byte(with), 1)
		if bytes.Equal(text, changed) {
			t.Fatalf("%s has no %q", path, old)
		}
		if err := os.WriteFile(path, changed, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	other := example(t) // another model's package with graphs of the same names
	other.Source.Files[0].SHA256 = strings.Repeat("0", 64)
	otherDir := written(t, other)
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  error
		says  string
	}{
		{"no plan", func(_ *testing.T, dir string) { os.Remove(file(dir, planFile)) }, ErrDamaged, "plan.json is missing: write it again"},
		{"no graph", func(_ *testing.T, dir string) { os.Remove(file(dir, "extend.onnx")) }, ErrDamaged, "extend.onnx is missing: write it again"},
		{"no weights", func(_ *testing.T, dir string) { os.Remove(file(dir, weightsFile)) }, ErrDamaged, "weights.bin is missing: write it again"},
		{"no tokenizer", func(_ *testing.T, dir string) { os.Remove(file(dir, "tokenizer.json")) }, ErrDamaged, "tokenizer.json is missing: write it again"},
		{"weights cut short", func(t *testing.T, dir string) { truncate(t, file(dir, weightsFile), 4096) }, ErrDamaged, "weights.bin has 4096 bytes"},
		{"tokenizer changed", func(t *testing.T, dir string) { replace(t, file(dir, "tokenizer.json"), "bytes", "BYTES") }, ErrDamaged, "tokenizer.json has the hash"},
		{"contract changed", func(t *testing.T, dir string) { replace(t, file(dir, contractFile), "1", "2") }, ErrDamaged, "contract.json has the hash"},
		{"graph changed", func(t *testing.T, dir string) { replace(t, file(dir, "encode.onnx"), "Relu", "Tanh") }, ErrDamaged, "encode.onnx has the hash"},
		{"newer", func(t *testing.T, dir string) {
			replace(t, file(dir, planFile), `"schema_version": 1`, `"schema_version": 2`)
		}, ErrNewer, `"mnnconv test" wrote version 2 of the format, this program reads up to 1`},
		{"newer and other", func(t *testing.T, dir string) {
			text := `{"schema_version": 9, "tool": "mnnconv 99", "phases": {"other": "form"}}`
			if err := os.WriteFile(file(dir, planFile), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}, ErrNewer, "version 9"},
		{"another model's plan", func(t *testing.T, dir string) { copyOver(t, dir, otherDir, planFile) }, ErrMixed, "is of the model"},
		{"another model's graph", func(t *testing.T, dir string) { copyOver(t, dir, otherDir, "extend.onnx") }, ErrMixed, "extend.onnx is of the model"},
		{"another tool's", func(t *testing.T, dir string) { replace(t, file(dir, planFile), "mnnconv test", "xxxconv test") }, ErrDamaged, "no plan of mnnconv"},
		{"no JSON", func(t *testing.T, dir string) { replace(t, file(dir, planFile), "{", "[") }, ErrDamaged, planFile},
		{"a key twice", func(t *testing.T, dir string) {
			replace(t, file(dir, planFile), `"rules":`, `"rules": "", "rules":`)
		}, ErrDamaged, `"rules" stands twice`},
		{"a path", func(t *testing.T, dir string) {
			replace(t, file(dir, planFile), `"name": "weights.bin"`, `"name": "../weights.bin"`)
		}, ErrDamaged, "no file beside it"},
		{"a link", func(t *testing.T, dir string) {
			if err := os.Rename(file(dir, "tokenizer.json"), file(dir, "x")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("x", file(dir, "tokenizer.json")); err != nil {
				t.Fatal(err)
			}
		}, ErrDamaged, "not a regular file"},
		{"a phase twice", func(t *testing.T, dir string) {
			replace(t, file(dir, planFile), `"name": "encode"`, `"name": "extend"`)
		}, ErrDamaged, "two phases"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := written(t, example(t))
			c.spoil(t, dir)
			if !Is(dir) {
				t.Error("it is no longer taken for a package")
			}
			x, err := Open(dir, onnx.Options{})
			if err == nil {
				x.Close()
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
}

func copyOver(t *testing.T, to, from, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(from, name))
	if err == nil {
		err = os.WriteFile(filepath.Join(to, name), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCheckPlans changes what a plan says of the cut: the graph says otherwise.
func TestCheckPlans(t *testing.T) {
	for name, change := range map[string]func(p *plan){
		"copy":      func(p *plan) { p.Phases[0].Copies[0].To = "sim:1" },
		"step":      func(p *plan) { p.Phases[0].Steps = p.Phases[0].Steps[1:] },
		"target":    func(p *plan) { p.Phases[1].Partitions[0].Target = "sim:0" },
		"partition": func(p *plan) { p.Phases[1].Partitions = p.Phases[1].Partitions[:1] },
	} {
		dir := written(t, example(t))
		path := filepath.Join(dir, planFile)
		p, err := readPlan(path)
		if err != nil {
			t.Fatal(err)
		}
		change(p)
		text, err := json.Marshal(p)
		if err == nil {
			err = os.WriteFile(path, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		x, err := Open(dir, onnx.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.CheckPlans(replan(t, x)); !errors.Is(err, ErrMixed) {
			t.Errorf("%s changed: %v", name, err)
		}
		x.Close()
	}
}

func TestCheckWeights(t *testing.T) {
	dir := written(t, example(t))
	f, err := os.OpenFile(filepath.Join(dir, weightsFile), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{42}, 100); err != nil {
		t.Fatal(err)
	}
	f.Close()
	x, err := Open(dir, onnx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.CheckWeights(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("changed weights: %v", err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}
