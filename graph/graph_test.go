package graph

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// parse reads a fixture.
func parse(t *testing.T, text string) *Graph {
	t.Helper()
	g, err := ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// find returns the value of a fixture with the given name.
func find(t *testing.T, g *Graph, name string) *Value {
	t.Helper()
	var found *Value
	g.each(func(v *Value) {
		if v.Name == name {
			found = v
		}
	})
	if found == nil {
		t.Fatalf("no value %q in\n%s", name, Text(g))
	}
	return found
}

func order(g *Graph) string {
	var names []string
	for _, n := range g.Nodes {
		names = append(names, n.Outputs[0].Name)
	}
	return strings.Join(names, " ")
}

const diamond = `graph "diamond" {
  input %x: float32[n]
  %a = Relu-14(%x)
  %b = Neg-13(%a)
  %c = Exp-13(%a)
  %d = Add-14(%b, %c)
  output %d
}`

func TestSort(t *testing.T) {
	for _, k := range []struct{ given, want string }{
		{"a b c d", "a b c d"},
		{"a c b d", "a c b d"}, // legal: kept
		{"d c b a", "a b c d"},
		{"c d b a", "a c b d"},
	} {
		g := parse(t, diamond)
		slices.SortFunc(g.Nodes, func(m, n *Node) int {
			return strings.Index(k.given, m.Outputs[0].Name) - strings.Index(k.given, n.Outputs[0].Name)
		})
		if err := g.Sort(); err != nil || order(g) != k.want {
			t.Errorf("%s became %s (%v), want %s", k.given, order(g), err, k.want)
		}
		if err := Verify(g); err != nil {
			t.Error(err)
		}
	}
}

func TestSortFindsCycles(t *testing.T) {
	g := parse(t, diamond)
	find(t, g, "a").Def.Inputs[0] = find(t, g, "d")
	err := g.Sort()
	want := `cyclic graph: node "a" (Relu) → node "d" (Add) → node "b" (Neg) → node "a" (Relu)`
	if !errors.Is(err, ErrCycle) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	g = parse(t, diamond)
	b := find(t, g, "b")
	b.Def.Inputs[0] = b
	if err := g.Sort(); !errors.Is(err, ErrCycle) || !strings.HasSuffix(err.Error(), `node "b" (Neg) → node "b" (Neg)`) {
		t.Errorf("got %v", err)
	}
}

// TestSortDeep sorts a chain that recursion would not survive.
func TestSortDeep(t *testing.T) {
	g := New("deep")
	v := g.NewInput("x", TensorOf(Float32))
	for range 200_000 {
		n := g.NewNode("", "Relu", 14, []*Value{v}, "v")
		g.Append(n)
		v = n.Outputs[0]
	}
	slices.Reverse(g.Nodes)
	if err := g.Sort(); err != nil || g.Nodes[0].Inputs[0] != g.Inputs[0] || len(g.Nodes) != 200_000 {
		t.Errorf("%d nodes, %v", len(g.Nodes), err)
	}
}

// branching reads %a twice: as an input, and captured by a branch.
const branching = `graph "branching" {
  input %x: float32[n]
  input %cond: bool[]
  %a: float32[n] = Relu-14(%x)
  %b: float32[n] = Neg-13(%x)
  %c: float32[n] = Mul-14(%a, %a)
  %unread: float32[n] = Exp-13(%b)
  %y: float32[n] = If-16(%cond)
    body then_branch = graph "then" {
      capture %a: float32[n] = %a
      %sum: float32[n] = Add-14(%a, %a)
      output %sum
    }
  output %y
  output %c
}`

func TestUses(t *testing.T) {
	g := parse(t, branching)
	uses := g.Uses()
	c, y := find(t, g, "c"), find(t, g, "y")
	want := []Use{{c.Def, 0}, {c.Def, 1}, {y.Def, -1}}
	if got := uses[find(t, g, "a")]; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := uses[c]; !slices.Equal(got, []Use{{nil, 1}}) {
		t.Errorf("a graph output: got %v", got)
	}
	if got := uses[find(t, g, "unread")]; got != nil {
		t.Errorf("got %v", got)
	}
}

func TestReplace(t *testing.T) {
	g := parse(t, branching)
	a, b, c, x := find(t, g, "a"), find(t, g, "b"), find(t, g, "c"), find(t, g, "x")
	g.States = []State{{x, c}}
	g.Replace(nil)
	g.Replace(map[*Value]*Value{a: b, b: x, c: a}) // c → a → b → x
	y := find(t, g, "y")
	if got := find(t, g, "unread").Def.Inputs[0]; got != x {
		t.Errorf("a node reads %s", got.Name)
	}
	if y.Def.Bodies[0].Outer[0] != x || y.Def.Bodies[0].Graph.Captures[0].Name != "a" {
		t.Error("a capture was not replaced outside, or was inside")
	}
	if !slices.Equal(g.Outputs, []*Value{y, x}) || g.States[0].Out != x {
		t.Errorf("outputs %v, state %v", g.Outputs, g.States)
	}
	if g.RemoveDead(); order(g) != "y" {
		t.Errorf("left over: %s", order(g))
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic for a ring of replacements")
		}
	}()
	g.Replace(map[*Value]*Value{x: a, a: x})
}

func TestRemoveDead(t *testing.T) {
	g := parse(t, branching)
	if n := g.RemoveDead(); n != 2 || order(g) != "a c y" {
		t.Errorf("removed %d, left %s", n, order(g))
	}
	g.Outputs = g.Outputs[:1] // what is left reads a only in its branch
	if n := g.RemoveDead(); n != 1 || order(g) != "a y" || len(g.Inputs) != 2 {
		t.Errorf("removed %d, left %s", n, order(g))
	}
	if n := g.RemoveDead(); n != 0 {
		t.Errorf("removed %d again", n)
	}
	if err := Verify(g); err != nil {
		t.Error(err)
	}
}

// TestClone changes everything in a clone: the original keeps its text.
func TestClone(t *testing.T) {
	for _, base := range []*Graph{parse(t, branching), parse(t, sample), stateful(), loop()} {
		before := Text(base)
		base.Meta = map[string]string{"k": "v"}
		base.Nodes[0].Meta = map[string]string{"k": "v"}
		base.Inputs[0].Hints = []string{"batch"}
		c, m := base.Clone()
		if got := Text(c); got != before {
			t.Fatalf("the clone differs: %s", diff(got, before))
		}
		for i, v := range base.Inputs {
			if m[v] != c.Inputs[i] || m[v] == v {
				t.Errorf("input %s maps to %v", v.Name, m[v])
			}
		}
		if err := Verify(c); (err == nil) != (Verify(base) == nil) {
			t.Errorf("the clone: %v", err)
		}
		if c.NewValue("new", Type{}).ID != base.NumValues() || base.NumValues() == c.NumValues() {
			t.Error("IDs are shared")
		}
		scramble(c)
		if got := Text(base); got != before {
			t.Errorf("the original changed: %s", diff(got, before))
		}
		if base.Meta["k"] != "v" || base.Nodes[0].Meta["k"] != "v" || base.Inputs[0].Hints[0] != "batch" {
			t.Error("the original's metadata changed")
		}
		for _, n := range base.Nodes {
			for i, v := range n.Outputs {
				if v != nil && (v.Def != n || v.Index != i) {
					t.Errorf("the original's %s lost its definition", v.Name)
				}
			}
		}
	}
}

func scramble(g *Graph) {
	g.each(func(v *Value) {
		v.Name += "'"
		if len(v.Type.Shape) > 0 {
			v.Type.Shape[0] = Sym("other")
		}
		if len(v.Hints) > 0 {
			v.Hints[0] = "other"
		}
		v.Type.DType, v.Def = Int8, nil
	})
	if g.Meta != nil {
		g.Meta["k"] = "other"
	}
	for i, n := range g.Nodes {
		for _, b := range n.Bodies {
			scramble(b.Graph)
			clear(b.Outer)
			b.Attr = "other"
		}
		if n.Meta != nil {
			n.Meta["k"] = "other"
		}
		clear(n.Inputs)
		clear(n.Attrs)
		n.Op, n.Bodies, g.Nodes[i] = "Other", nil, nil
	}
	clear(g.Inputs)
	clear(g.Outputs)
	clear(g.States)
}

func TestNode(t *testing.T) {
	g := parse(t, sample)
	odd, only := g.Nodes[1], g.Nodes[2]
	for n, want := range map[*Node]string{
		g.Nodes[0]: `node "llm.layers.7.scale" (Mul)`,
		odd:        `node "a" (com.microsoft.Weird op)`,
		only:       `node "only the exporter's name" (Copy)`,
		g.Nodes[3]: `node "" (Sink)`,
	} {
		if got := n.ID(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if odd.In(1) != nil || odd.In(9) != nil || odd.Out(1) != nil || odd.Out(9) != nil || odd.In(0) == nil || odd.Out(2) == nil {
		t.Error("wrong inputs or outputs by index")
	}
	var none *Node
	if !only.Is("Copy") || only.Is("Relu") || odd.Is("Weird op") || none.Is("Copy") {
		t.Error("wrong operator")
	}
}

func TestAttrs(t *testing.T) {
	n := parse(t, sample).Nodes[1]
	if n.Int("axis", 7) != -1 || n.Int("none such", 7) != 7 || n.Int("mode", 7) != 7 {
		t.Error("wrong ints")
	}
	if n.Float("scale", 7) != 1 || n.Float("axis", 7) != 7 || n.Str("mode", "") == "" || n.Str("axis", "def") != "def" {
		t.Error("wrong scalars")
	}
	if len(n.Ints("perm")) != 3 || len(n.Floats("alphas")) != 2 || len(n.Strs("labels")) != 2 || n.Ints("alphas") != nil {
		t.Error("wrong lists")
	}
	if n.Tensor("shape") == nil || n.Tensor("axis") != nil || n.Body("axis") != nil || !n.Has("none") || n.Has("none such") {
		t.Error("wrong tensors or presence")
	}
	count := len(n.Attrs)
	n.SetAttr("axis", 3)
	n.SetAttr("new", "x")
	if n.Int("axis", 0) != 3 || n.Attrs[0].Name != "axis" || n.Str("new", "") != "x" || len(n.Attrs) != count+1 {
		t.Errorf("set: %v", n.Attrs)
	}
}

// TestInline puts one graph behind another: names are numbered, inputs that are
// given nothing become inputs, and a constant that is given stays what it was.
func TestInline(t *testing.T) {
	g := parse(t, `graph "vision" {
  input %x: float32[n]
  const %w = float32[1] {2}
  %y: float32[n] = Mul-14(%x, %w)
  output %y
}`)
	sub := parse(t, `graph "llm" {
  input %rows: float32[n]
  input %scale: float32[1]
  input %past: float32[n]
  const %w = float32[1] {3}
  %y: float32[n] = Mul-14(%rows, %w)
  %z: float32[n] = Add-14(%y, %past)
  %s: float32[n] = Mul-14(%z, %scale)
  output %s
  output %z
  state %past -> %z
}`)
	w := find(t, g, "w")
	outs := g.Inline(sub, map[*Value]*Value{sub.Inputs[0]: g.Outputs[0], sub.Inputs[1]: w})
	g.Outputs = outs
	if err := Verify(g); err != nil {
		t.Error(err)
	}
	want := `graph "vision" {
  input %x: float32[n]
  input %past: float32[n]
  const %w = float32[1] {2}
  %y: float32[n] = Mul-14(%x, %w)
  const %w_1 = float32[1] {3}
  %y_1: float32[n] = Mul-14(%y, %w_1)
  %z: float32[n] = Add-14(%y_1, %past)
  %s: float32[n] = Mul-14(%z, %w)
  output %s
  output %z
  state %past -> %z
}
`
	if got := Text(g); got != want {
		t.Error(diff(got, want))
	}
}
