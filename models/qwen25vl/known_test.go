package qwen25vl

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/tinyvl"
	"mnnconv/passes"
	"mnnconv/schemas/onnx"
	"mnnconv/schemas/op"
)

// changed writes the bundled model's folder with every graph changed.
func changed(t *testing.T, change func(*graph.Graph)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, tinyvl.Model()); err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "onnx", "*.onnx"))
	if err != nil || len(paths) != 3 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		m, err := onnx.Load(path, onnx.Options{})
		if err != nil {
			t.Fatal(err)
		}
		change(m.Graph)
		if err := onnx.Save(path+".changed", m, onnx.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".changed", path); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestUnknown: what a family does not know of an export, and does not need, changes
// nothing of what is made of it.
func TestUnknown(t *testing.T) {
	input := func(shape ...any) func(*graph.Graph) {
		return func(g *graph.Graph) { g.NewInput("extra", graph.TensorOf(graph.Float32, shape...)) }
	}
	outputs := func(ops ...string) func(*graph.Graph) {
		return func(g *graph.Graph) {
			if _, err := passes.Infer(g, op.All()); err != nil {
				t.Fatal(err)
			}
			for _, n := range g.Nodes {
				if v := n.Out(0); v != nil && slices.Contains(ops, n.Op) && v.Type.DType.IsFloat() && !slices.Contains(g.Outputs, v) {
					g.Outputs = append(g.Outputs, v)
				}
			}
		}
	}
	position := regexp.MustCompile(`(?m)\[\d+:\d+\]$`) // of a weight in its file
	texts := func(change func(*graph.Graph)) (out []string) {
		for _, p := range load(t, changed(t, change), models.Options{}).Phases() {
			out = append(out, position.ReplaceAllString(graph.Text(p.Graph), ""))
		}
		return out
	}
	want := texts(func(*graph.Graph) {})
	for _, c := range []struct {
		name   string
		change func(*graph.Graph)
	}{
		{"an input that no node reads", input("n")},
		{"one of four axes, as the past has", input("n", 2, "past", 4)},
		{"an input that an output alone is made of", func(g *graph.Graph) {
			in := g.NewInput("extra", graph.TensorOf(graph.Float32, "n"))
			n := g.NewNode("", "Neg", 17, []*graph.Value{in}, "minus")
			n.Outputs[0].Type = in.Type
			g.Append(n)
			g.Outputs = append(g.Outputs, n.Outputs[0])
		}},
		{"keys, values and queries as outputs", outputs("Transpose", "Concat")},
		{"scores as outputs", outputs("Softmax")},
		{"projections and sums as outputs", outputs("MatMul", "Add", "Mul")},
	} {
		have := texts(c.change)
		for i := range want {
			if have[i] != want[i] {
				t.Errorf("%s: phase %d is another graph", c.name, i)
			}
		}
	}
}
