package tests

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/runtime"
)

// TestOverflow runs a vision tower whose numbers are too large for float16, as those of
// the published models are, over an export in float16: the answers are the reference's,
// unless one has it compute in float16, which is found, and the node is named.
func TestOverflow(t *testing.T) {
	dir := overflowing(t)
	for _, c := range []struct{ types, place, found string }{
		{"", "", ""},
		{"", "vision=sim:0", ""},
		{"llm=fp32", "", ""},
		{"vision=fp16", "", "vision.blocks.1.mlp.mul"},
		{"vision=fp16", "vision=sim:0", "vision.blocks.1.mlp.mul"},
		{"vision=fp32", "", ""},
		{"vision=bf16", "", ""},
		{"vision.blocks.1.mlp=fp32", "vision=sim:0,llm=sim:1", ""},
	} {
		t.Run(c.types+" "+c.place, func(t *testing.T) { overflows(t, dir, options(c.place), c.types, c.found) })
	}
}

// overflows asks about pictures, and wants the reference's answers, or the node found that
// makes infinite numbers.
func overflows(t *testing.T, dir string, o mnnconv.Options, types, found string) {
	t.Helper()
	o.Check = "values"
	o.Load.Types = typesOf(t, types)
	s := chat(t, dir, o)
	for _, q := range Conversations(t) {
		if len(q.Files) == 0 {
			continue
		}
		a, err := s.Ask(context.Background(), q.Asking(t), greedy)
		switch {
		case found == "" && err != nil:
			t.Fatalf("%s: %v", q.Name, err)
		case found == "" && a.Text != q.Text:
			t.Errorf("%s: %q, want %q", q.Name, a.Text, q.Text)
		case found != "" && (!errors.Is(err, runtime.ErrValues) || !strings.Contains(err.Error(), found)):
			t.Errorf("%s: %v", q.Name, err)
		}
	}
}

// typesOf reads rules for types; nil: there are none.
func typesOf(t testing.TB, rules string) *passes.Types {
	t.Helper()
	if rules == "" {
		return nil
	}
	types, err := passes.ParseTypes(rules)
	if err != nil {
		t.Fatal(err)
	}
	return types
}

// overflowing writes a package of the small model's export in float16, in which an MLP
// of the vision tower multiplies by a factor what it divides by it later, as if nobody had
// asked for its type.
func overflowing(t *testing.T) string {
	t.Helper()
	const asked = "vision=fp16"
	o := options("")
	o.Load.Types = typesOf(t, asked)
	dir := changed(t, Export(t, "tjs-fp16"), o, func(s *mnnconv.Source) {
		for _, n := range s.Phases[0].Graph.Nodes {
			switch n.Path {
			case "vision.blocks.1.mlp.up":
				scaled(t, n, 1, factor)
				scaled(t, n, 2, factor)
			case "vision.blocks.1.mlp.down":
				scaled(t, n, 1, 1/factor)
			}
		}
	})
	plan := filepath.Join(dir, "plan.json")
	text, err := os.ReadFile(plan)
	record := []byte(`"types": "` + asked + `",`)
	if err != nil || !bytes.Contains(text, record) {
		t.Fatalf("%v: the plan does not tell what was asked for: %.500s", err, text)
	}
	if err := os.WriteFile(plan, bytes.Replace(text, record, nil, 1), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// factor takes the sums of block 1 beyond 65504.
const factor = float32(1 << 12)

// scaled multiplies constant input i of a node.
func scaled(t *testing.T, n *graph.Node, i int, by float32) {
	t.Helper()
	v := n.Inputs[i]
	x, err := v.Const.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	y, err := graph.NewTensor(v.Const.DType, v.Const.Shape...)
	if err != nil {
		t.Fatal(err)
	}
	for k := range x {
		x[k] *= by
	}
	if err := y.SetFloat32s(x); err != nil {
		t.Fatal(err)
	}
	v.Const = y
}
