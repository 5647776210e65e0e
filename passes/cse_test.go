package passes

import (
	"testing"

	"mnnconv/graph"
)

func TestCSE(t *testing.T) {
	check(t, once((*context).cse), []rewriting{{
		name: "equal nodes, and what follows them",
		text: `input %x: float32[n] %a = Neg-13(%x) %b = Neg-13(%x) %c = Abs-13(%a) %d = Abs-13(%b) %y = Add-14(%c, %d) output %y`,
		want: "Neg Abs Add",
	}, {
		name: "constants of equal contents",
		text: `input %x: float32[n] const %k = float32[1] {2} const %l = float32[1] {2}
			%a = Mul-14(%x, %k) %b = Mul-14(%x, %l) %y = Add-14(%a, %b) output %y`,
		want: "Mul Add",
	}, {
		name: "constants of other contents",
		text: `input %x: float32[n] const %k = float32[1] {2} const %l = float32[1] {3}
			%a = Mul-14(%x, %k) %b = Mul-14(%x, %l) %y = Add-14(%a, %b) output %y`,
	}, {
		name: "constants of another shape",
		text: `input %x: float32[n] const %k = float32[1] {2} const %l = float32[] {2}
			%a = Mul-14(%x, %k) %b = Mul-14(%x, %l) %y = Add-14(%a, %b) output %y`,
	}, {
		name: "constants of the same bytes and another dtype",
		text: `input %x: float32[n] const %k = int32[1] {0} const %l = float32[1] {0}
			%kf = Cast-21(%k) {to = 1} %lf = Cast-21(%l) {to = 1} %a = Add-14(%x, %kf) %y = Add-14(%a, %lf) output %y`,
	}, {
		name: "another attribute",
		text: `input %x: float32[n, 2] %a = Softmax-13(%x) {axis = 0} %b = Softmax-13(%x) {axis = 1} %y = Add-14(%a, %b) output %y`,
	}, {
		name: "another version of the operator",
		text: `input %x: float32[2, 2, 2] %a = Softmax-11(%x) {axis = 1} %b = Softmax-13(%x) {axis = 1} %y = Add-14(%a, %b) output %y`,
	}, {
		name: "another order of inputs",
		text: `input %x: float32[n] input %z: float32[n] %a = Sub-14(%x, %z) %b = Sub-14(%z, %x) %y = Mul-14(%a, %b) output %y`,
	}, {
		name: "an absent input is not one that is there",
		text: `input %x: float32[n] const %lo = float32[] {0} const %hi = float32[] {0.5}
			%a = Clip-13(%x, %lo, %hi) %b = Clip-13(%x, _, %hi) %y = Add-14(%a, %b) output %y`,
	}, {
		name: "other outputs are wanted",
		text: `input %x: float32[4] const %k = int64[1] {2}
			%a, %i = TopK-11(%x, %k) %b, _ = TopK-11(%x, %k) %f = Cast-21(%i) {to = 1} %s = Add-14(%a, %b) %y = Add-14(%s, %f) output %y`,
	}, {
		name: "all outputs are joined",
		text: `input %x: float32[4] const %k = int64[1] {2}
			%a, %i = TopK-11(%x, %k) %b, %j = TopK-11(%x, %k) %s = Add-14(%a, %b) %l = Add-14(%i, %j) output %s output %l`,
		want: "TopK Add Add",
	}, {
		name: "an output of the graph keeps its node",
		text: `input %x: float32[n] %a = Neg-13(%x) %b = Neg-13(%x) output %a output %b`,
	}, {
		name: "bodies are not compared",
		text: `input %x: float32[1] input %yes: bool[]
			%a = If-21(%yes) body then_branch = graph "t" { capture %v: float32[1] = %x %o = Neg-13(%v) output %o }
				body else_branch = graph "e" { capture %v: float32[1] = %x %o = Abs-13(%v) output %o }
			%b = If-21(%yes) body then_branch = graph "t" { capture %v: float32[1] = %x %o = Abs-13(%v) output %o }
				body else_branch = graph "e" { capture %v: float32[1] = %x %o = Neg-13(%v) output %o }
			%y = Add-14(%a, %b) output %y`,
	}})
}

// TestCSEOfWeights joins no weights that have not been read, and no large ones.
func TestCSEOfWeights(t *testing.T) {
	g := parse(t, `
		const %k = float32[2] file "weights.bin"[0:8]
		const %l = float32[2] file "weights.bin"[8:8]
		input %x: float32[2]
		%a = Mul-14(%x, %k) %b = Mul-14(%x, %l) %y = Add-14(%a, %b) output %y`)
	after, _ := rewrite(t, g, Knowledge{}, once((*context).cse))
	if operators(after) != operators(g) {
		t.Errorf("two weights on disk were joined:\n%s", graph.Text(after))
	}

	g = graph.New("large")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, 2000))
	var sums [2]*graph.Node
	for i := range sums {
		sums[i] = g.NewNode("", "Add", 14, []*graph.Value{x, g.NewConst([]string{"k", "l"}[i], graph.Floats(make([]float32, 2000)))}, []string{"a", "b"}[i])
	}
	y := g.NewNode("", "Add", 14, []*graph.Value{sums[0].Outputs[0], sums[1].Outputs[0]}, "y")
	g.Append(sums[0], sums[1], y)
	g.Outputs = y.Outputs
	if after, _ = rewrite(t, g, Knowledge{}, once((*context).cse)); len(after.Nodes) != 3 {
		t.Errorf("weights of 8,000 bytes were compared:\n%s", graph.Text(after))
	}
}

// TestCSEOfAttributes tells attributes apart that look alike when they are printed.
func TestCSEOfAttributes(t *testing.T) {
	for _, pair := range [][2]graph.Attr{
		{{Name: "k", Value: int64(1)}, {Name: "k", Value: "1"}},
		{{Name: "k", Value: int64(1)}, {Name: "k", Value: float32(1)}},
		{{Name: "k", Value: []int64{1, 2}}, {Name: "k", Value: "[1 2]"}},
		{{Name: "k", Value: []string{"a b"}}, {Name: "k", Value: []string{"a", "b"}}},
		{{Name: "k", Value: "1 l=2"}, {Name: "k", Value: "1"}},
	} {
		g := parse(t, `input %x: float32[n] %a = Neg-13(%x) %b = Neg-13(%x) %y = Add-14(%a, %b) output %y`)
		_, _ = rewrite(t, g, Knowledge{}, func(c *context) error {
			a, b := c.g.Nodes[0], c.g.Nodes[1] // inference would refuse attributes that Neg lacks
			a.Attrs, b.Attrs = []graph.Attr{pair[0]}, []graph.Attr{pair[1]}
			if pair[0].Value == "1 l=2" {
				b.Attrs = append(b.Attrs, graph.Attr{Name: "l", Value: int64(2)})
			}
			if c.cse() {
				t.Errorf("%#v and %#v count as one", pair[0].Value, pair[1].Value)
			}
			a.Attrs, b.Attrs = nil, nil
			return nil
		})
	}
}
