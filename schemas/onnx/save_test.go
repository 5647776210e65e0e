package onnx

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// roundTrip saves m and fails unless it loads as the same.
func roundTrip(t *testing.T, m *Model, o SaveOptions) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := Save(path, m, o); err != nil {
		t.Error(err)
		return
	}
	got, err := Load(path, Options{Annotations: o.Annotate})
	if err != nil {
		t.Error(err)
		return
	}
	defer got.Close()
	if s := differ(m.Graph, got.Graph); s != "" {
		t.Errorf("%s, saved with %+v: %s", m.Graph.Name, o, s)
	}
	if fmt.Sprint(got.Opsets, got.Meta, got.Producer, got.Version, got.Doc) != fmt.Sprint(m.Opsets, m.Meta, m.Producer, m.Version, m.Doc) {
		t.Errorf("model %+v became %+v", m, got)
	}
}

func load(t testing.TB, path string) *Model {
	t.Helper()
	m, err := Load(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"embedding.onnx", "embed_tokens_q4f16.onnx"} {
		m := load(t, filepath.Join("testdata", name))
		if len(m.Graph.Nodes) == 0 || len(m.Graph.Inputs) == 0 {
			t.Errorf("%s is empty", name)
		}
		if err := graph.Verify(m.Graph); err != nil {
			t.Error(err)
		}
		for _, o := range []SaveOptions{{}, {External: "w.bin"}, {External: "w.bin", Threshold: 1, Align: 4096}} {
			roundTrip(t, m, o)
		}
	}
	m, err := Decode("m.onnx", sample(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, m, SaveOptions{})
	b, err := marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode("m.onnx", b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := differ(m.Graph, again.Graph); s != "" {
		t.Error(s)
	}
	if s := differ(m.Graph, load(t, filepath.Join("testdata", "embedding.onnx")).Graph); s == "" {
		t.Error("two different models are equal")
	}
}

// build returns a model made in code: a weight of n float32s used twice under
// two names, a body that reads it, and a small constant.
func build(n int) *Model {
	g := graph.New("g")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, "rows", n))
	data := graph.Floats(make([]float32, n))
	w, tied := g.NewConst("w", data), g.NewConst("tied", data.Reshape(1, int64(n)))
	add := g.NewNode("", "Add", 21, []*graph.Value{x, w}, "h")
	mul := g.NewNode("", "Mul", 21, []*graph.Value{add.Outputs[0], tied}, "k")

	body := graph.New("then")
	in := body.NewValue("local", add.Outputs[0].Type)
	body.Captures = []*graph.Value{in}
	neg := body.NewNode("", "Neg", 21, []*graph.Value{in}, "h") // a name of the graph around
	body.Append(neg)
	body.Outputs = neg.Outputs
	cond := g.NewConst("cond", graph.FromSlice(graph.Bool, []uint8{1}, []int64{}...))
	branch := g.NewNode("", "If", 21, []*graph.Value{cond}, "y")
	branch.Bodies = []*graph.Body{{Attr: "then_branch", Graph: body, Outer: []*graph.Value{mul.Outputs[0]}}}
	g.Append(add, mul, branch)
	for _, node := range g.Nodes {
		node.Outputs[0].Type = x.Type
	}
	neg.Outputs[0].Type, in.Type = x.Type, x.Type
	g.Outputs = branch.Outputs
	return &Model{Graph: g, Opsets: map[string]int64{"": 21}}
}

// TestExternalFile looks at where weights go.
func TestExternalFile(t *testing.T) {
	for _, c := range []struct {
		align, threshold int64
		n                int
		size             int64 // of the data file
	}{
		{0, 0, 255, 0},       // all below the threshold
		{0, 0, 256, 1024},    // tied: stored once
		{4096, 1, 100, 4097}, // 400 bytes, then cond at 4096
		{0, 1, 100, 449},
		{3, 1, 100, 403},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "m.onnx")
		m := build(c.n)
		if err := Save(path, m, SaveOptions{External: "w.bin", Align: c.align, Threshold: c.threshold}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "w.bin"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != c.size {
			t.Errorf("%+v: the data file has %d bytes", c, info.Size())
		}
		got := load(t, path)
		w, tied := got.Graph.Nodes[0].Inputs[1].Const, got.Graph.Nodes[1].Inputs[1].Const
		if *w.Source != *tied.Source && c.size > 0 {
			t.Errorf("%+v: the tied weight lies at %+v and %+v", c, w.Source, tied.Source)
		}
		if align := max(c.align, 1); w.Source.File == "w.bin" && w.Source.Offset%align != 0 {
			t.Errorf("%+v: offset %d", c, w.Source.Offset)
		}
		if left, _ := os.ReadDir(dir); len(left) != 2 {
			t.Errorf("%+v: files %v", c, left)
		}
	}
}

// TestSharedData lets two models share one data file.
func TestSharedData(t *testing.T) {
	dir := t.TempDir()
	var weights bytes.Buffer
	data := NewData("shared.bin", &weights, 0)
	a := build(500)
	b := &Model{Graph: a.Graph, Opsets: a.Opsets}
	for name, m := range map[string]*Model{"a.onnx": a, "b.onnx": b} {
		var file bytes.Buffer
		if err := Write(&file, m, SaveOptions{Data: data}); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), file.Bytes())
	}
	if data.size != 2000 || weights.Len() != 2000 {
		t.Errorf("the data has %d bytes", data.size)
	}
	write(t, filepath.Join(dir, "shared.bin"), weights.Bytes())
	if s := differ(load(t, filepath.Join(dir, "a.onnx")).Graph, load(t, filepath.Join(dir, "b.onnx")).Graph); s != "" {
		t.Error(s)
	}
	if err := Write(&weights, a, SaveOptions{External: "x"}); err == nil {
		t.Error("Write takes External")
	}
}

// TestCapturedNames keeps what bodies capture by the names in the file, and
// their own names apart from those around.
func TestCapturedNames(t *testing.T) {
	b, err := marshal(build(4))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode("m.onnx", b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := "h = Add-21(x w)\nk = Mul-21(h tied)\ny = If-21(cond)\nthen_branch(k):\nh~2 = Neg-21(k)\n"
	if got := show(m.Graph); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestAnnotate keeps placement, spaces, states, canonical names and dims.
func TestAnnotate(t *testing.T) {
	m := build(4)
	g := m.Graph
	g.Nodes[0].Path, g.Nodes[0].Target, g.Nodes[0].Cause = "llm.add", "sim:0", "rule 1"
	g.Nodes[0].Meta = map[string]string{"own": "1"}
	g.Nodes[0].Outputs[0].From = "/model/Add_output_0"
	g.Nodes[0].Inputs[1].From = "onnx::w"
	past := g.NewInput("past", graph.Type{DType: graph.Float32, Shape: graph.Shape{graph.Sym("a.0").Add(graph.Const(1)), graph.Sym("past.1")}, Space: "sim:0"})
	keep := g.NewNode("mnnconv", "Keep", 1, []*graph.Value{past}, "present")
	keep.Outputs[0].Type = past.Type
	g.Append(keep)
	g.Outputs = append(g.Outputs, keep.Outputs[0])
	g.States = []graph.State{{In: past, Out: keep.Outputs[0]}}
	g.Nodes[2].Bodies[0].Graph.Nodes[0].Outputs[0].Name = "n"
	g.Nodes[2].Bodies[0].Graph.Captures[0].Name = "k"

	m.Opsets["mnnconv"] = 1
	roundTrip(t, m, SaveOptions{Annotate: true})
	b, err := marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("mnnconv.")) {
		t.Error("a model that was not to be annotated is")
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := Save(path, m, SaveOptions{Annotate: true}); err != nil {
		t.Fatal(err)
	}
	annotated, err := Load(path, Options{Annotations: true})
	if err != nil {
		t.Fatal(err)
	}
	defer annotated.Close()
	if s := annotated.Graph.States; len(s) != 1 || s[0].In.Name != "past" || s[0].Out.Name != "present" {
		t.Errorf("states %v", s)
	}
	plain := load(t, path).Graph
	if n := plain.Nodes[0]; n.Path != "" || n.Meta[metaPath] != "llm.add" || len(plain.States) != 0 {
		t.Errorf("annotations are read from any file: %+v", n)
	}

	bad := newModel(node("Neg", "x", "y"))
	bad.Graph.Input[0].Type = info("", graph.Float32, "4 +").Type
	_, err = Decode("m.onnx", encode(t, bad), Options{Annotations: true})
	refuses(t, err, ErrMalformed, `extent "4 +"`)
	bad = newModel(node("Neg", "x", "y"))
	bad.Graph.Output[0].MetadataProps = []*pb.StringStringEntryProto{{Key: metaState, Value: "y"}}
	_, err = Decode("m.onnx", encode(t, bad), Options{Annotations: true})
	refuses(t, err, ErrMalformed, `the state of "y", which is no graph input`)
}

// TestAnnotateBodies: a body is placed with its node, and what it captures has no
// space of its own, before and after.
func TestAnnotateBodies(t *testing.T) {
	p := newModel(node("If", "c", "y", graphAttr("then_branch", branch("t", node("Neg", "x", "r"))), graphAttr("else_branch", branch("e", node("Abs", "x", "r")))))
	p.Graph.Input = append(p.Graph.Input, info("c", graph.Bool))
	m := decode(t, p)
	n := m.Graph.Nodes[0]
	n.Target = "cpu"
	for _, v := range append(m.Graph.Inputs, n.Outputs...) {
		v.Type.Space = "cpu"
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := Save(path, m, SaveOptions{Annotate: true}); err != nil {
		t.Fatal(err)
	}
	back, err := Load(path, Options{Annotations: true})
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	b := back.Graph.Nodes[0].Body("then_branch")
	if in, x := b.Graph.Captures[0].Type.Space, b.Outer[0].Type.Space; in != "" || x != "cpu" {
		t.Errorf("the capture lives in %q, what it stands for in %q", in, x)
	}
}

// TestFunctions writes an operator's body beside it, for other runtimes, and
// keeps the operator on import.
func TestFunctions(t *testing.T) {
	body := graph.New("Twice")
	a := body.NewInput("a", graph.Type{})
	sum := body.NewNode("", "Mul", 21, []*graph.Value{a, body.NewConst("two", graph.Floats([]float32{2}))}, "b")
	soft := body.NewNode("", "Softmax", 21, sum.Outputs, "c")
	soft.Attrs = []graph.Attr{{Name: "axis", Value: Ref{"axis", int64(0)}}}
	body.Append(sum, soft)
	body.Outputs = soft.Outputs

	for _, domain := range []string{"mnnconv", "local"} {
		g := graph.New("g")
		x := g.NewInput("x", graph.TensorOf(graph.Float32, 2))
		n := g.NewNode(domain, "Twice", 1, []*graph.Value{x}, "y")
		n.Name = "call"
		n.SetAttr("axis", 0)
		g.Append(n)
		g.Outputs = n.Outputs
		var file bytes.Buffer
		f := Function{Domain: domain, Name: "Twice", Attrs: []string{"axis"}, Graph: body}
		if err := Write(&file, &Model{Graph: g, Opsets: map[string]int64{"": 21}}, SaveOptions{Functions: []Function{f}}); err != nil {
			t.Fatal(err)
		}
		m, err := Decode("m.onnx", file.Bytes(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		want := "y = mnnconv.Twice-1(x) axis=0\n"
		got := show(m.Graph)
		if domain == "local" { // not mnnconv's: inlined
			want = "call/b = Mul-21(x call/two)\ny = Softmax-21(call/b) axis=0\n"
			constant, rest, _ := strings.Cut(got, "\n")
			if !strings.HasPrefix(constant, "call/two = Constant-21() value=") {
				t.Errorf("the constant is %s", constant)
			}
			got = rest
		}
		if got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

// TestSaveErrors leaves the target as it was, and nothing beside it.
func TestSaveErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		edit  func(*Model, *SaveOptions)
		parts []string
	}{
		{"another opset", func(m *Model, o *SaveOptions) { m.Graph.Nodes[0].Version = 13 }, []string{`"h" (Add)`, "opset 13 of ai.onnx, the model is saved at 21"}},
		{"no version", func(m *Model, o *SaveOptions) { m.Graph.Nodes[0].Domain, m.Graph.Nodes[0].Version = "d", 0 }, []string{"opset 0"}},
		{"one name twice", func(m *Model, o *SaveOptions) { m.Graph.Nodes[1].Outputs[0].Name = "h" }, []string{`two values are called "h"`}},
		{"no name", func(m *Model, o *SaveOptions) { m.Graph.Nodes[1].Outputs[0].Name = "" }, []string{"has no name"}},
		{"attribute", func(m *Model, o *SaveOptions) { m.Graph.Nodes[0].Attrs = []graph.Attr{{Name: "a", Value: 1}} }, []string{`attribute "a": a int is no value`}},
		{"weight of the wrong size", func(m *Model, o *SaveOptions) {
			m.Graph.Nodes[0].Inputs[1].Const = &graph.Tensor{DType: graph.Float32, Shape: []int64{2}, Data: make([]byte, 7)}
		},
			[]string{`initializer "w"`, "has 7 bytes"}},
		{"weight that is a sequence", func(m *Model, o *SaveOptions) {
			m.Graph.Nodes[0].Inputs[1].Const = &graph.Tensor{Kind: graph.SequenceKind}
		}, []string{"is no tensor"}},
		{"data outside of the folder", func(m *Model, o *SaveOptions) { o.External = "../w.bin" }, []string{`"../w.bin" is no name`}},
		{"data with the model's name", func(m *Model, o *SaveOptions) { o.External = "m.onnx" }, []string{`"m.onnx" is no name`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := write(t, filepath.Join(dir, "m.onnx"), []byte("old"))
			m, o := build(400), SaveOptions{External: "w.bin"}
			c.edit(m, &o)
			err := Save(path, m, o)
			if err == nil {
				t.Fatal("it was saved")
			}
			for _, p := range append(c.parts, "save "+path) {
				if !strings.Contains(err.Error(), p) {
					t.Errorf("error %q does not have %q", err, p)
				}
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("files %v", left)
			}
			if b, _ := os.ReadFile(path); string(b) != "old" {
				t.Errorf("the target was changed to %q", b)
			}
		})
	}
	if err := Save(filepath.Join(t.TempDir(), "none", "m.onnx"), build(4), SaveOptions{}); err == nil {
		t.Error("saved into a folder that is not there")
	} else if !strings.Contains(err.Error(), "none") {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := Save(dir, build(4), SaveOptions{}); err == nil {
		t.Error("saved over a folder")
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Error(info, err)
	}
}

// TestSaveMode gives files the ordinary mode.
func TestSaveMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := Save(path, build(4), SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != fs.FileMode(0o644) {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// failing fails at the n-th write.
type failing struct{ n int }

func (f *failing) Write(b []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, os.ErrClosed
	}
	return len(b), nil
}

// TestWriteFails reports a failure of every single write.
func TestWriteFails(t *testing.T) {
	for n := 0; ; n++ {
		w := &failing{n}
		err := Write(w, build(5000), SaveOptions{Data: NewData("w", w, 4096)})
		if err == nil {
			if n < 2 {
				t.Errorf("only %d writes", n)
			}
			return
		}
	}
}
