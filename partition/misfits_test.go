package partition

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"mnnconv/graph"
)

// mixed is x float32[n] → Exp → Neg → Exp, with integers made of x by Shape and Neg.
func mixed() *graph.Graph {
	g := graph.New("mixed")
	x := g.NewValue("x", graph.TensorOf(graph.Float32, "n"))
	g.Inputs = []*graph.Value{x}
	add := func(op, path string, in *graph.Value, t graph.Type) *graph.Value {
		n := g.NewNode("", op, 13, []*graph.Value{in}, path)
		n.Path = path
		n.Outputs[0].Type = t
		g.Nodes = append(g.Nodes, n)
		return n.Outputs[0]
	}
	y := add("Exp", "llm.a", x, x.Type)
	y = add("Neg", "llm.b", y, x.Type)
	y = add("Exp", "llm.c", y, x.Type)
	s := add("Shape", "llm.s", x, graph.TensorOf(graph.Int64, 1))
	s = add("Neg", "llm.t", s, s.Type)
	g.Outputs = []*graph.Value{y, s}
	return g
}

func TestMisfits(t *testing.T) {
	targets := []Target{{Profile{Name: "cpu"}, plain{}},
		{Profile{Name: "opencl:0", Operators: []string{"Neg"}, DTypes: []string{"float32"}}, plain{}}}
	rules, err := ParseRules("llm=opencl:0")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Build("extend", mixed(), rules, targets)
	for _, want := range []string{`node "llm.a" (Exp)`, "(rule llm=opencl:0) and 1 more, which validate lists: opencl:0 has no kernel for Exp; cpu can", "--fallback cpu"} {
		if !errors.Is(err, ErrPlacement) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	want := []Misfit{
		{"extend", "llm.a", "Exp", "opencl:0", "rule llm=opencl:0", "opencl:0 has no kernel for Exp", []string{"cpu"}},
		{"extend", "llm.c", "Exp", "opencl:0", "rule llm=opencl:0", "opencl:0 has no kernel for Exp", []string{"cpu"}},
	}
	if got := Misfits(fmt.Errorf("model: %w", errors.Join(errors.New("more"), err))); !reflect.DeepEqual(got, want) {
		t.Errorf("misfits %v, want %v", got, want)
	}
	if err != nil && strings.Contains(err.Error(), "Shape") {
		t.Errorf("integers are on the host and no error: %v", err)
	}

	p, err := Build("extend", mixed(), append(rules, FallbackTo("cpu")), targets)
	if err != nil {
		t.Fatal(err)
	}
	causes := map[string]string{
		"llm.a": "cpu --fallback cpu: opencl:0 has no kernel for Exp (rule llm=opencl:0)",
		"llm.b": "opencl:0 rule llm=opencl:0",
		"llm.c": "cpu --fallback cpu: opencl:0 has no kernel for Exp (rule llm=opencl:0)",
		"llm.s": "cpu shape arithmetic runs on the host (rule llm=opencl:0)",
		"llm.t": "cpu shape arithmetic runs on the host (rule llm=opencl:0)",
	}
	for _, n := range p.Graph.Nodes {
		if got := n.Target + " " + n.Cause; n.Path != "" && got != causes[n.Path] {
			t.Errorf("%s: %s, want %s", n.Path, got, causes[n.Path])
		}
	}
	if f := p.Fallbacks(); len(f) != 1 || f["--fallback cpu: opencl:0 has no kernel for Exp"] != 2 {
		t.Errorf("fallbacks %v", f)
	}
	if err := CheckRules(rules, []*Plan{p}); err != nil {
		t.Errorf("a rule whose nodes were moved matched: %v", err)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"embed", "head", "llm", "llm.layers.1", "vision", "vision.blocks.0.attn"}
	for text, want := range map[string]string{"visoin": "vision", "llm.layer.1": "llm.layers.1", "haed": "head", "lmm": "llm", "audio": "", "": "", "x": ""} {
		if got := nearest(text, names); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzRuleFile(f *testing.F) {
	for _, s := range []string{"place: [vision=cpu]", "pin:\n- {a: b}\nspaces: {cpu: {limit: 1GiB}}", "a: &a [*a]", "? [x]\n: y", "--- a\n--- b", "fallback: cpu\nmemory: [cpu=limit:1]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if file, err := parseRuleFile("f", data); (file == nil) == (err == nil) {
			t.Errorf("%v, %v", file, err)
		}
	})
}
