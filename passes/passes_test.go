package passes

import (
	stdcontext "context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// rewriting is a graph and what a pass makes of it.
type rewriting struct {
	name string
	text string // the graph's lines in the text form
	want string // its operators afterwards, in order, or "none"; empty: they stay
	know Knowledge
	env  graph.Env                // extents; 3 where there is no other
	in   map[string]*graph.Tensor // inputs that are not random, new ones too
}

// check runs a pass over each graph and compares operators, reported counts and
// what is computed.
func check(t *testing.T, pass func(*context) error, cases []rewriting) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Helper()
			before := parse(t, c.text)
			after, report := rewrite(t, before, c.know, pass)
			want := c.want
			switch want {
			case "":
				want = operators(before)
			case "none":
				want = ""
			}
			if got := operators(after); got != want {
				t.Errorf("got %s, want %s\n%s%v", got, want, graph.Text(after), report.Notes)
			}
			for name, n := range report.Raised {
				if made := count(after, name) - count(before, name); made != n {
					t.Errorf("%d %s are reported, %d were made", n, name, made)
				}
			}
			same(t, before, after, c.env, c.in)
		})
	}
}

// parse reads a graph from its lines and infers its types.
func parse(t rapid.TB, lines string) *graph.Graph {
	t.Helper()
	g, err := graph.ParseText("graph \"test\" {" + lines + "}")
	if err == nil {
		_, err = Infer(g, op.All())
	}
	if err == nil {
		err = graph.Verify(g)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, lines)
	}
	return g
}

// rewrite runs a pass, as Run does, over a copy of a graph.
func rewrite(t rapid.TB, g *graph.Graph, know Knowledge, pass func(*context) error) (*graph.Graph, *Report) {
	t.Helper()
	after, _ := g.Clone()
	report, err := apply(after, know, pass)
	if err != nil {
		t.Fatalf("%v\n%s", err, graph.Text(after))
	}
	return after, report
}

// apply runs a pass over a graph, with inference before and after, and verifies.
func apply(g *graph.Graph, know Knowledge, pass func(*context) error) (*Report, error) {
	c := &context{g: g, table: op.All(), know: know, report: &Report{Raised: map[string]int{}}}
	for _, step := range []func(*context) error{(*context).infer, pass} {
		if err := step(c); err != nil {
			return nil, err
		}
	}
	g.RemoveDead()
	if err := c.infer(); err != nil {
		return nil, err
	}
	return c.report, graph.Verify(g)
}

// operators lists the operators of a graph in order.
func operators(g *graph.Graph) string {
	names := make([]string, len(g.Nodes))
	for i, n := range g.Nodes {
		names[i] = n.Op
	}
	return strings.Join(names, " ")
}

func count(g *graph.Graph, op string) (n int) {
	for _, node := range g.Nodes {
		if node.Op == op {
			n++
		}
	}
	return n
}

// find returns the first node of an operator, or ends the test.
func find(t rapid.TB, g *graph.Graph, op string) *graph.Node {
	t.Helper()
	for _, n := range g.Nodes {
		if n.Op == op {
			return n
		}
	}
	t.Fatalf("no %s in\n%s", op, graph.Text(g))
	return nil
}

// same compares what two graphs compute from the same random inputs.
func same(t rapid.TB, before, after *graph.Graph, env graph.Env, given map[string]*graph.Tensor) {
	t.Helper()
	if len(before.Outputs) != len(after.Outputs) {
		t.Fatalf("%d outputs became %d", len(before.Outputs), len(after.Outputs))
	}
	in := inputs(t, before, env, given)
	want, got := compute(t, before, in), compute(t, after, in)
	for i := range want {
		near(t, before.Outputs[i].Name, want[i], got[i])
	}
}

// inputs makes the inputs of a graph: those given, and random ones.
func inputs(t rapid.TB, g *graph.Graph, env graph.Env, given map[string]*graph.Tensor) map[string]*graph.Tensor {
	t.Helper()
	full := graph.Env{}
	for _, v := range g.Inputs {
		names := map[string]bool{}
		for _, d := range v.Type.Shape {
			d.Symbols(names)
		}
		for name := range names {
			full[name] = 3
			if n, ok := env[name]; ok {
				full[name] = n
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	in := map[string]*graph.Tensor{}
	for name, x := range given {
		in[name] = x
	}
	for _, v := range g.Inputs {
		if in[v.Name] != nil {
			continue
		}
		shape, err := v.Type.Shape.Eval(full)
		if err != nil {
			t.Fatal(err)
		}
		in[v.Name] = randomTensor(t, rng, v.Type.DType, shape...)
	}
	return in
}

// randomTensor draws floats from -1 to 1, small integers, or booleans.
func randomTensor(t rapid.TB, rng *rand.Rand, d graph.DType, shape ...int64) *graph.Tensor {
	t.Helper()
	x, err := graph.NewTensor(d, shape...)
	if err != nil {
		t.Fatal(err)
	}
	f := make([]float32, x.Len())
	for i := range f {
		f[i] = 2*rng.Float32() - 1
	}
	switch d {
	case graph.Int64:
		for i := range f {
			graph.View[int64](x)[i] = rng.Int64N(4)
		}
	case graph.Bool:
		for i := range f {
			x.Data[i] = byte(rng.IntN(2))
		}
	default:
		if err := x.SetFloat32s(f); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// compute evaluates a graph with the reference implementations.
func compute(t rapid.TB, g *graph.Graph, in map[string]*graph.Tensor) []*graph.Tensor {
	t.Helper()
	ins := make([]*graph.Tensor, len(g.Inputs))
	for i, v := range g.Inputs {
		if ins[i] = in[v.Name]; ins[i] == nil {
			t.Fatalf("input %q of\n%s has no value", v.Name, graph.Text(g))
		}
	}
	outs, err := op.All().Run(stdcontext.Background(), g, ins, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, graph.Text(g))
	}
	return outs
}

// near compares two tensors: floats to what their dtype resolves after a few
// operations, all else exactly.
func near(t rapid.TB, name string, want, got *graph.Tensor) {
	t.Helper()
	if want.DType != got.DType || !slices.Equal(want.Shape, got.Shape) {
		t.Errorf("%s: got %s, want %s", name, got.Type(), want.Type())
		return
	}
	if !want.DType.IsFloat() {
		if !slices.Equal(want.Data, got.Data) {
			t.Errorf("%s: got %v, want %v", name, got.Data, want.Data)
		}
		return
	}
	tol := 1e-5
	if want.DType != graph.Float32 {
		tol = 2e-3
	}
	w, _ := want.Float32s()
	g, _ := got.Float32s()
	for i := range w {
		d := math.Abs(float64(w[i]) - float64(g[i]))
		if !(d <= tol*(1+math.Abs(float64(w[i])))) && w[i] != g[i] {
			t.Errorf("%s[%d]: got %g, want %g", name, i, g[i], w[i])
			return
		}
	}
}

// full runs all passes, as a family's package does.
func full(t rapid.TB, g *graph.Graph, know Knowledge) (*graph.Graph, *Report) {
	t.Helper()
	after, _ := g.Clone()
	report, err := Run(after, op.All(), know)
	if err != nil {
		t.Fatal(err)
	}
	return after, report
}

// block is a decoder's: norm, gated multiplication, residual.
const block = `
	input %x: float32[batch, tokens, 4]
	const %two = float32[] {2}
	const %eps = float32[] {1e-6}
	const %w = float32[4] {1, 0.5, 2, 1.5}
	const %axes = int64[1] {-1}
	%gate = Constant-21() {value = float32[4, 2] {1, 2, 3, 4, 5, 6, 7, 8}}
	const %up = float32[4, 2] {8, 7, 6, 5, 4, 3, 2, 1}
	const %down = float32[2, 4] {1, -1, 1, -1, 2, 0, -2, 0}
	%square = Pow-15(%x, %two)
	%mean = ReduceMean-18(%square, %axes) {keepdims = 1}
	%sum = Add-14(%mean, %eps)
	%root = Sqrt-13(%sum)
	%inverse = Reciprocal-13(%root)
	%scaled = Mul-14(%x, %inverse)
	%norm = Mul-14(%scaled, %w)
	%g = MatMul-13(%norm, %gate)
	%s = Sigmoid-13(%g)
	%swish = Mul-14(%g, %s)
	%same = Identity-21(%norm)
	%u = MatMul-13(%same, %up)
	%gated = Mul-14(%swish, %u)
	%d = MatMul-13(%gated, %down)
	%y = Add-14(%x, %d)
	output %y
`

func TestRun(t *testing.T) {
	before := parse(t, block)
	after, report := full(t, before, Knowledge{})
	if got, want := operators(after), "RMSNormalization MatMul Swish MatMul Mul MatMul Add"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if report.Raised["RMSNormalization"] != 1 || report.Raised["Swish"] != 1 || len(report.Raised) != 2 || len(report.Notes) != 0 {
		t.Errorf("reported %v %v", report.Raised, report.Notes)
	}
	for _, env := range []graph.Env{{"batch": 2, "tokens": 5}, {"batch": 1, "tokens": 1}, {"tokens": 0}} {
		same(t, before, after, env, nil)
	}
	again, _ := full(t, after, Knowledge{})
	if graph.Text(again) != graph.Text(after) {
		t.Errorf("a second run changes\n%sto\n%s", graph.Text(after), graph.Text(again))
	}
}

// TestRunRefuses sees that what inference or a pass finds comes back with its
// place, and nothing panics.
func TestRunRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		know       Knowledge
		err        error
		want       string
	}{
		{"unknown operator", `input %x: float32[2] %y = com.acme::Magic-1(%x) output %y`, Knowledge{}, op.ErrUnsupported, "com.acme.Magic"},
		{"types", `input %x: float32[2] input %y: float32[3] %z = Add-14(%x, %y) output %z`, Knowledge{}, graph.ErrType, `"z" (Add)`},
		{"two values of one name", `input %x: float32[2] %y = Neg-13(%x) output %y`, Knowledge{}, graph.ErrInvalid, `share the name "x"`},
		{
			"a cache that cannot become a state", `
			input %q: float32[1, 2, tokens, 4] input %k: float32[1, 2, tokens, 4] input %v: float32[1, 2, tokens, 4]
			input %pk: float32[1, 2, past, 4] input %pv: float32[1, 2, past, 4]
			%y, %nk, %nv = Attention-24(%q, %k, %v, _, %pk, %pv) output %y output %nk output %nv`,
			Knowledge{Cache: &Cache{Capacity: graph.Sym("capacity"), WriteIndices: "at", Lengths: "lengths"}}, op.ErrUnsupported, "pass kv-state",
		},
	} {
		g, err := graph.ParseText("graph \"test\" {" + c.text + "}")
		if err != nil {
			t.Fatal(err)
		}
		if c.name == "two values of one name" {
			g.Outputs[0].Name = "x"
		}
		_, err = Run(g, op.All(), c.know)
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %v with %q", c.name, err, c.err, c.want)
		}
	}
}
