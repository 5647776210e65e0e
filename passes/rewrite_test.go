package passes

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

func newContext(t *testing.T, text string) *context {
	t.Helper()
	c := &context{g: parse(t, text), table: op.All(), report: &Report{Raised: map[string]int{}}}
	if err := c.infer(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestName numbers names that inputs, constants or outputs have.
func TestName(t *testing.T) {
	c := newContext(t, `input %x: float32[n] const %k = float32[] {1} %y = Add-14(%x, %k) output %y`)
	for _, step := range []struct{ base, want string }{
		{"z", "z"}, {"z", "z_1"}, {"z", "z_2"}, {"x", "x_1"}, {"k", "k_1"}, {"y", "y_1"}, {"x_1", "x_1_1"},
	} {
		if got := c.name(step.base); got != step.want {
			t.Errorf("%q became %q, want %q", step.base, got, step.want)
		}
	}
}

// TestRewriter replaces a node in the middle of a chain.
func TestRewriter(t *testing.T) {
	c := newContext(t, `input %x: float32[n] %a = Neg-13(%x) %b = Abs-13(%a) ; llm.b "exporter's" %c = Exp-13(%b) output %c output %b`)
	r := c.rewriter()
	n := find(t, c.g, "Abs")
	n.Meta = map[string]string{"from": "here"}
	b := n.Outputs[0]
	first := r.op1(n, "Mul", nil, n.Inputs[0], n.Inputs[0])
	if got := first.Type.String(); got != "float32[n]" {
		t.Errorf("the new value is %s before the rewriter is applied", got)
	}
	root := r.add(n, "Sqrt", nil, 1, first)
	r.take(root, 0, b)
	r.take(root, 0, nil) // nobody wants it: nothing happens
	if err := r.apply(); err != nil {
		t.Fatal(err)
	}
	if got := operators(c.g); got != "Neg Mul Sqrt Exp" {
		t.Errorf("got %s", got)
	}
	if b.Def != root || c.g.Outputs[1] != b || find(t, c.g, "Exp").Inputs[0] != b {
		t.Error("readers of the value do not read it any more")
	}
	for _, made := range []*graph.Node{find(t, c.g, "Mul"), root} {
		if made.Name != "exporter's" || made.Path != "llm.b" || made.Meta["from"] != "here" || made.Version != Opset {
			t.Errorf("%s came from %q %q %v", made.ID(), made.Name, made.Path, made.Meta)
		}
	}
	if err := graph.Verify(c.g); err != nil {
		t.Error(err)
	}
}

// TestRewriterOrder writes attributes in one order, whatever a map's is.
func TestRewriterOrder(t *testing.T) {
	for range 20 {
		c := newContext(t, `input %x: float32[n, 2] %y = Softmax-13(%x) output %y`)
		r := c.rewriter()
		n := r.add(c.g.Nodes[0], "LayerNormalization", attrs{"stash_type": 1, "epsilon": float32(1), "axis": -1}, 1, c.g.Inputs[0], c.g.NewConst("w", graph.Floats([]float32{1, 1})))
		var names []string
		for _, a := range n.Attrs {
			names = append(names, a.Name)
		}
		if !slices.IsSorted(names) || len(names) != 3 {
			t.Fatalf("attributes %v", names)
		}
	}
}

// TestRewriterErrors keeps the first node that cannot be typed and leaves the
// graph as it was.
func TestRewriterErrors(t *testing.T) {
	c := newContext(t, `input %x: float32[2] input %z: float32[3] %y = Neg-13(%x) output %y`)
	before := graph.Text(c.g)
	r := c.rewriter()
	r.op1(c.g.Nodes[0], "Add", nil, c.g.Inputs[0], c.g.Inputs[1])
	r.op1(c.g.Nodes[0], "Nonsense", nil, c.g.Inputs[0])
	err := r.apply()
	if !errors.Is(err, graph.ErrType) || !strings.Contains(err.Error(), "Add") {
		t.Errorf("got %v, want the Add's", err)
	}
	if after := graph.Text(c.g); after != before {
		t.Errorf("the graph became\n%s", after)
	}
}
