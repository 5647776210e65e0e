package partition

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mnnconv/graph"
)

func TestParseRules(t *testing.T) {
	for _, c := range []struct {
		text string
		want string   // rules as TEXT→TARGET
		in   []string // paths of which the first rule that matches is told as index, - for none
		at   string
	}{
		{"", "", []string{"llm.head"}, "-"},
		{"auto", "", []string{"llm.head"}, "-"},
		{"cpu", "cpu→cpu", []string{"llm.head", ""}, "00"},
		{"sim", "sim→sim:0", []string{"vision.stem"}, "0"},
		{"sim:3", "sim:3→sim:3", []string{"vision.stem"}, "0"},
		{"vision=cuda:0,llm=opencl", "vision=cuda:0→cuda:0 llm=opencl→opencl:0", []string{"vision.blocks.0.attn", "vision", "visionary.x", "llm.head", "embed.x", ""}, "00-1--"},
		{" vision = sim:1 , llm = cpu ", "vision = sim:1→sim:1 llm = cpu→cpu", []string{"vision.a", "llm.a"}, "01"},
		{"llm.layers.0-17=sim:0,llm=sim:1", "llm.layers.0-17=sim:0→sim:0 llm=sim:1→sim:1",
			[]string{"llm.layers.0.attn", "llm.layers.17.mlp.up", "llm.layers.18.mlp", "llm.layers", "llm.layers.5", "llm.layers.x.y", "llm.layers.5x.y"}, "0011011"},
		{"llm.layers.3=sim:0", "llm.layers.3=sim:0→sim:0", []string{"llm.layers.3", "llm.layers.30", "llm.layers.3.mlp", "llm.layers.2.3"}, "0-0-"},
		{"llm.layers.0-1.attn=sim:0", "llm.layers.0-1.attn=sim:0→sim:0", []string{"llm.layers.1.attn.q", "llm.layers.1.mlp"}, "0-"},
		{"llm=sim:0,llm.layers=sim:1", "llm=sim:0→sim:0 llm.layers=sim:1→sim:1", []string{"llm.layers.1"}, "0"}, // the first wins
		{"/attn|mlp/=sim:0", "/attn|mlp/=sim:0→sim:0", []string{"llm.layers.1.attn", "vision.mlp", "llm.head"}, "00-"},
		{`/^llm\.layers\.\d{1,2}\./=sim:0,cpu=cpu`, `/^llm\.layers\.\d{1,2}\./=sim:0→sim:0 cpu=cpu→cpu`, []string{"llm.layers.12.x", "llm.layers.123.x"}, "0-"},
		{"/a=b/=sim:0", "/a=b/=sim:0→sim:0", []string{"a=b", "a"}, "0-"},
		{"/a,b/=sim:0,/c/=sim:1", "/a,b/=sim:0→sim:0 /c/=sim:1→sim:1", []string{"a,b", "a", "c"}, "0-1"},
		{"/^(/up|/act)$/=sim:0,/^(/x/up,/y)$/=sim:1,llm=cpu", "/^(/up|/act)$/=sim:0→sim:0 /^(/x/up,/y)$/=sim:1→sim:1 llm=cpu→cpu",
			[]string{"/up", "/x/up,/y", "llm.a"}, "012"}, // TorchScript's names of nodes begin so
		{"a-b=sim:0,5-x=sim:1", "a-b=sim:0→sim:0 5-x=sim:1→sim:1", []string{"a-b.c", "5-x", "5"}, "01-"}, // names, not ranges
	} {
		rules, err := ParseRules(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var got []string
		for _, r := range rules {
			got = append(got, r.Text+"→"+r.Target)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: rules %s, want %s", c.text, strings.Join(got, " "), c.want)
		}
		at := ""
		for _, path := range c.in {
			at += first(rules, &graph.Node{Path: path})
		}
		if at != c.at {
			t.Errorf("%q: %v are matched by %s, want %s", c.text, c.in, at, c.at)
		}
	}
}

// first names the rule that matches a node.
func first(rules []Rule, n *graph.Node) string {
	for i, r := range rules {
		if r.match(n) {
			return fmt.Sprint(i)
		}
	}
	return "-"
}

// TestRegularExpressionsSeeNames: a node without a canonical path still has the
// exporter's name.
func TestRegularExpressionsSeeNames(t *testing.T) {
	rules, err := ParseRules("/MatMul_1$/=sim:0,llm=sim:1")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"/model/MatMul_1": "0", "/model/MatMul_12": "-", "llm.x": "-"} {
		if got := first(rules, &graph.Node{Name: name}); got != want {
			t.Errorf("%q is matched by %s, want %s", name, got, want)
		}
	}
}

func TestParseRulesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"vision=sim:0,llm":    `"llm"`, // one device alone, or a list
		"cpu,":                `"cpu"`,
		",cpu":                `""`,
		",":                   `""`,
		"vision=":             `"vision="`,
		"=cpu":                `"=cpu"`,
		"=":                   `"="`,
		"/attn=sim:0":         `"/attn"`,
		"//=sim:0":            `"//"`,
		"/=sim:0":             `"/"`,
		"/a(/=sim:0":          "missing closing )",
		"/a/b=sim:0":          `"/a/b"`,
		"llm.layers.9-3=cpu":  "counts down",
		"llm=cpu,/(?P<x/=cpu": `"/(?P<x/"`,
	} {
		_, err := ParseRules(text)
		if !errors.Is(err, ErrRules) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "nil") {
			t.Errorf("%q: %v, want it to name %s", text, err, want)
		}
	}
}
