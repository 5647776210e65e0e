package partition

import (
	"errors"
	"testing"

	"mnnconv/graph"
)

// layered is a graph of a table, two layers with a residual each, and a head.
func layered(t *testing.T) *graph.Graph {
	t.Helper()
	g := graph.New("layered")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, "n", 8))
	node := func(path, op string, ty graph.Type, in ...*graph.Value) *graph.Value {
		n := g.NewNode("", op, 24, in, path+".out")
		n.Path, n.Outputs[0].Type = path, ty
		g.Append(n)
		return n.Outputs[0]
	}
	wide := graph.TensorOf(graph.Float32, "n", 8)
	table := node("llm.stem.cos", "Cos", graph.TensorOf(graph.Float32, "n", 1), x)
	h := x
	for _, layer := range []string{"llm.layers.0", "llm.layers.1"} {
		a := node(layer+".attn.mul", "Mul", wide, h, table)
		h = node(layer+".attn.residual", "Add", wide, a, h)
	}
	g.Outputs = append(g.Outputs, node("head", "Neg", wide, h))
	if err := graph.Verify(g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestSplits(t *testing.T) {
	at := graph.Env{"n": 10}
	splits, err := Splits("extend", layered(t), []string{"llm.layers.1.attn.residual", "llm.layers.9"}, at)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		before, bytes, cheaper string
		values, inputs         int
		named                  bool
	}{
		{"llm.layers.0", "4*n", "", 1, 1, false},                   // the table; x goes to both
		{"llm.layers.1", "36*n", "llm.layers.0", 2, 0, false},      // the table and the residual
		{"llm.layers.1.attn.residual", "64*n", "head", 2, 0, true}, // the residual twice
		{"head", "32*n", "", 1, 0, false},                          // the hidden state
	}
	if len(splits) != len(want) {
		t.Fatalf("%d splits, want %d: %+v", len(splits), len(want), splits)
	}
	for i, w := range want {
		s := splits[i]
		if s.Before != w.before || s.Bytes.String() != w.bytes || len(s.Values) != w.values || len(s.Inputs) != w.inputs || s.Named != w.named || s.Phase != "extend" {
			t.Errorf("split %d: before %q: %d values of %s bytes, %d inputs, named %v; want %+v", i, s.Before, len(s.Values), s.Bytes, len(s.Inputs), s.Named, w)
		}
		if w.cheaper != "" && s.Cheaper != w.cheaper {
			t.Errorf("split before %q: the cheaper neighbour is %q, want %q", s.Before, s.Cheaper, w.cheaper)
		}
	}
	if in := splits[0].Inside; in == nil || in.Before != "llm.layers.0.attn.residual" || in.Values != 2 {
		t.Errorf("inside the first layer: %+v", in)
	}
	if _, err := Splits("extend", layered(t), []string{"llm.stem"}, at); !errors.Is(err, ErrSplit) {
		t.Errorf("a split before everything: %v", err)
	}
}
