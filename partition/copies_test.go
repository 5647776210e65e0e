package partition

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
)

// copied places a graph and inserts its copies, and verifies it.
func copied(t rapid.TB, text, place string) *graph.Graph {
	t.Helper()
	g := parse(t, text)
	if err := placeNodes(g, rules(t, place)); err != nil {
		t.Fatal(err)
	}
	insertCopies(g)
	if err := graph.Verify(g); err != nil {
		t.Fatalf("%v\n%s", err, graph.Text(g))
	}
	return g
}

func placeNodes(g *graph.Graph, r []Rule) error {
	return place("extend", g, r, devices("cpu", "sim:0", "sim:1"))
}

// lines writes nodes as "out=Op(in)", copies as "in→out".
func lines(g *graph.Graph) string {
	var out []string
	for _, n := range g.Nodes {
		if n.IsCopy() {
			out = append(out, n.Inputs[0].Name+"→"+n.Target)
			continue
		}
		var ins []string
		n.Reads(func(v *graph.Value) { ins = append(ins, v.Name) })
		out = append(out, fmt.Sprintf("%s=%s(%s)", names(n.Outputs), n.Op, strings.Join(ins, ",")))
	}
	return strings.Join(out, " ") + " : " + names(g.Outputs)
}

func TestCopies(t *testing.T) {
	for _, c := range []struct{ name, text, place, want string }{
		{
			"nothing crosses", `input %x: float32[n] %a = Neg-13(%x) ; a output %a`, "cpu",
			"a=Neg(x) : a",
		},
		{
			"in and out", `input %x: float32[n] %a = Neg-13(%x) ; a output %a`, "sim:0",
			"x→sim:0 a=Neg(x@sim:0) a→cpu : a@cpu",
		},
		{
			"one copy for all readers in a space",
			`input %x: float32[n] %a = Neg-13(%x) ; a %b = Abs-13(%a) ; s.b %c = Exp-13(%a) ; s.c %d = Add-14(%a, %c) ; s.d output %b output %d`, "s=sim:0",
			"a=Neg(x) a→sim:0 b=Abs(a@sim:0) b→cpu c=Exp(a@sim:0) d=Add(a@sim:0,c) d→cpu : b@cpu,d@cpu",
		},
		{
			"one copy for each space",
			`input %x: float32[n] %a = Neg-13(%x) ; a %b = Abs-13(%a) ; s.b %c = Exp-13(%a) ; t.c output %b output %c`, "s=sim:0,t=sim:1",
			"a=Neg(x) a→sim:0 a→sim:1 b=Abs(a@sim:0) b→cpu c=Exp(a@sim:1) c→cpu : b@cpu,c@cpu",
		},
		{
			"from device to device", `input %x: float32[n] %a = Neg-13(%x) ; s.a %b = Abs-13(%a) ; t.b output %b`, "s=sim:0,t=sim:1",
			"x→sim:0 a=Neg(x@sim:0) a→sim:1 b=Abs(a@sim:1) b→cpu : b@cpu",
		},
		{
			"behind the producer, not before the reader",
			`input %x: float32[n] %a = Neg-13(%x) ; a %b = Abs-13(%a) ; b %c = Exp-13(%b) ; c %d = Add-14(%a, %c) ; s.d output %d`, "s=sim:0",
			"a=Neg(x) a→sim:0 b=Abs(a) c=Exp(b) c→sim:0 d=Add(a@sim:0,c@sim:0) d→cpu : d@cpu",
		},
		{
			"back to where it came from", `input %x: float32[n] %a = Neg-13(%x) ; a %b = Abs-13(%a) ; s.b %c = Add-14(%a, %b) ; c output %c`, "s=sim:0",
			"a=Neg(x) a→sim:0 b=Abs(a@sim:0) b→cpu c=Add(a,b@cpu) : c",
		},
		{
			"constants are uploaded, not copied", `input %x: float32[n] const %k = float32[1] {2} %a = Mul-14(%x, %k) ; s.a %b = Mul-14(%a, %k) ; t.b output %b`, "s=sim:0,t=sim:1",
			"x→sim:0 a=Mul(x@sim:0,k) a→sim:1 b=Mul(a@sim:1,k) b→cpu : b@cpu",
		},
		{
			"a constant that is an output", `input %x: float32[n] const %k = float32[1] {2} %a = Mul-14(%x, %k) ; s.a output %a output %k`, "s=sim:0",
			"x→sim:0 a=Mul(x@sim:0,k) a→cpu : a@cpu,k",
		},
		{
			"an input that is an output", `input %x: float32[n] %a = Neg-13(%x) ; s.a output %x output %a`, "s=sim:0",
			"x→sim:0 a=Neg(x@sim:0) a→cpu : x,a@cpu",
		},
		{
			"an output given twice", `input %x: float32[n] %a = Neg-13(%x) ; s.a output %a output %a`, "s=sim:0",
			"x→sim:0 a=Neg(x@sim:0) a→cpu : a@cpu,a@cpu",
		},
		{
			"what a body reads", `input %x: float32[2] input %yes: bool[] %a = Neg-13(%x) ; a %y = If-21(%yes) ; s.y
				body then_branch = graph "t" { capture %v: float32[2] = %a %o = Abs-13(%v) output %o }
				body else_branch = graph "e" { capture %v: float32[2] = %a %o = Exp-13(%v) output %o } output %y`, "s=sim:0",
			"yes→sim:0 a=Neg(x) a→sim:0 y=If(yes@sim:0,a@sim:0,a@sim:0) y→cpu : y@cpu",
		},
		{
			"an input that is absent", `input %x: float32[n] const %hi = float32[] {1} %a = Clip-13(%x, _, %hi) ; s.a output %a`, "s=sim:0",
			"x→sim:0 a=Clip(x@sim:0,hi) a→cpu : a@cpu",
		},
		{
			"states live where they are read and are not copied", cached, "llm=sim:0",
			"x→sim:0 at→sim:0 lengths→sim:0 k=Neg(x@sim:0) all=TensorScatter(kv,k,at@sim:0) y=Attention(x@sim:0,all,all,lengths@sim:0) y→cpu : y@cpu,all",
		},
		{
			"states on the cpu", cached, "llm.a=sim:0",
			"x→sim:0 k=Neg(x@sim:0) k→cpu all=TensorScatter(kv,k@cpu,at) y=Attention(x,all,all,lengths) : y,all",
		},
	} {
		if got := lines(copied(t, c.text, c.place)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

// TestCopyNodes: a Copy says from where to where, and why it is there.
func TestCopyNodes(t *testing.T) {
	g := copied(t, `input %x: float32[n, 4] %a = Neg-13(%x) ; s.a output %a`, "s=sim:0")
	n := g.Nodes[0]
	if n.Str("from", "") != "cpu" || n.Str("to", "") != "sim:0" || n.Target != "sim:0" || n.Name == "" || !strings.Contains(n.Cause, "x") || n.Version != 1 {
		t.Errorf("the copy is %s from %s to %s on %s: %q", n.ID(), n.Str("from", ""), n.Str("to", ""), n.Target, n.Cause)
	}
	if got := n.Outputs[0].Type.String(); got != "float32[n, 4]@sim:0" {
		t.Errorf("it makes %s", got)
	}
	if got := g.Nodes[2].Outputs[0].Type.String(); got != "float32[n, 4]@cpu" {
		t.Errorf("the result is %s", got)
	}
}

// TestStateOfTwoSpaces: a state that is written elsewhere than it is read is
// refused, not copied back and forth.
func TestStateOfTwoSpaces(t *testing.T) {
	g := parse(t, `input %x: float32[n] input %s: float32[n] %r = Abs-13(%s) ; s.r %w = Add-14(%x, %r) ; t.w output %w state %s -> %w`)
	_, err := Build("p", g, rules(t, "s=sim:0,t=sim:1"), devices("cpu", "sim:0", "sim:1"))
	if err == nil || !strings.Contains(err.Error(), `state "s" lives in sim:0, its new content "w" in sim:1`) {
		t.Errorf("got %v", err)
	}
}

// drawn is a random graph of up to 12 nodes, each placed on one of three devices.
func drawn(t *rapid.T) (text, place string) {
	var b, p strings.Builder
	b.WriteString("input %v0: float32[n] input %v1: float32[n] const %k = float32[1] {2}\n")
	count := rapid.IntRange(1, 12).Draw(t, "nodes")
	for i := range count {
		v, read := i+2, func(label string) int { return rapid.IntRange(0, i+1).Draw(t, label) }
		switch rapid.IntRange(0, 2).Draw(t, "operator") {
		case 0:
			fmt.Fprintf(&b, "%%v%d = Neg-13(%%v%d)", v, read("a"))
		case 1:
			fmt.Fprintf(&b, "%%v%d = Add-14(%%v%d, %%v%d)", v, read("a"), read("b"))
		case 2:
			fmt.Fprintf(&b, "%%v%d = Mul-14(%%v%d, %%k)", v, read("a"))
		}
		fmt.Fprintf(&b, " ; n.%d\n", i)
		fmt.Fprintf(&p, "n.%d=%s,", i, rapid.SampledFrom([]string{"cpu", "sim:0", "sim:1"}).Draw(t, "device"))
	}
	for range rapid.IntRange(1, 3).Draw(t, "outputs") {
		fmt.Fprintf(&b, "output %%v%d\n", rapid.IntRange(0, count+1).Draw(t, "output"))
	}
	return b.String(), strings.TrimSuffix(p.String(), ",")
}

// TestCopiesRandom: on any graph there is one copy at most for a value and space,
// each is needed, and none moves a constant.
func TestCopiesRandom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, place := drawn(t)
		g := copied(t, text, place)
		uses := g.Uses()
		seen := map[string]bool{}
		for i, n := range g.Nodes {
			if !n.IsCopy() {
				continue
			}
			in, out := n.Inputs[0], n.Outputs[0]
			key := in.Name + " " + string(out.Type.Space)
			if seen[key] || in.Const != nil || len(uses[out]) == 0 || in.Type.Space == out.Type.Space {
				t.Errorf("%s is not needed:\n%s", n.ID(), lines(g))
			}
			seen[key] = true
			if before := g.Nodes[max(i-1, 0)]; i > 0 && before != in.Def && !before.IsCopy() {
				t.Errorf("%s does not stand behind its producer:\n%s", n.ID(), lines(g))
			}
		}
		for _, v := range g.Outputs {
			if v.Const == nil && v.Type.Space != graph.Host {
				t.Errorf("output %s lives in %s", v.Name, v.Type.Space)
			}
		}
	})
}
