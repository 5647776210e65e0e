package partition

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// parse reads a graph from its lines in the text form and infers its types.
func parse(t rapid.TB, lines string) *graph.Graph {
	t.Helper()
	g, err := graph.ParseText("graph \"test\" {" + lines + "}")
	if err == nil {
		err = op.NewFacts(op.All()).Graph(g)
	}
	if err == nil {
		err = graph.Verify(g)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, lines)
	}
	return g
}

// single lowers every node to a kernel of its own.
type single struct {
	fails string // an operator that it refuses
	saw   *[]string
}

func (s single) Lower(p Profile, g *graph.Graph) ([]Kernel, error) {
	var kernels []Kernel
	for _, n := range g.Nodes {
		if n.Op == s.fails {
			return nil, fmt.Errorf("%s: no kernel", n.ID())
		}
		kernels = append(kernels, Kernel{Name: n.Op, Nodes: []*graph.Node{n}, In: n.Inputs, Out: n.Outputs})
	}
	if s.saw != nil {
		*s.saw = append(*s.saw, p.Name+" "+names(g.Inputs)+"→"+names(g.Outputs))
	}
	return kernels, nil
}

func names(vs []*graph.Value) string {
	var s []string
	for _, v := range vs {
		s = append(s, v.Name)
	}
	return strings.Join(s, ",")
}

// devices are targets that run everything.
func devices(names ...string) []Target {
	var out []Target
	for _, name := range names {
		out = append(out, Target{Profile: Profile{Name: name, Align: 64}, Lowerer: single{}})
	}
	return out
}

// rules parses placement rules that are right.
func rules(t rapid.TB, text string) []Rule {
	t.Helper()
	r, err := ParseRules(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// schedule writes a plan's steps: partitions as DEVICE(operators), copies as
// VALUE→DEVICE.
func schedule(p *Plan) string {
	var out []string
	for _, s := range p.Steps {
		if s.Copy != nil {
			out = append(out, fmt.Sprintf("%s→%s", s.Copy.Inputs[0].Name, s.Copy.Target))
			continue
		}
		var ops []string
		for _, n := range s.Partition.Nodes {
			ops = append(ops, n.Op)
		}
		out = append(out, s.Partition.Target+"("+strings.Join(ops, " ")+")")
	}
	return strings.Join(out, " ")
}

// cached is a layer that writes a state and reads it.
const cached = `
	input %x: float32[1, 2, tokens, 4] input %at: int64[1] input %lengths: int64[1] input %kv: float32[1, 2, capacity, 4]
	%k = Neg-13(%x) ; llm.a
	%all = TensorScatter-24(%kv, %k, %at) {axis = -2} ; llm.b
	%y = Attention-24(%x, %all, %all, _, _, _, %lengths) {is_causal = 1} ; llm.c
	output %y output %all
	state %kv -> %all
`

func TestBuild(t *testing.T) {
	var saw []string
	targets := []Target{
		{Profile: Profile{Name: "cpu"}, Lowerer: single{saw: &saw}},
		{Profile: Profile{Name: "sim:0"}, Lowerer: single{saw: &saw}},
	}
	p, err := Build("extend", parse(t, cached), rules(t, "llm=sim:0"), targets)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := schedule(p), "x→sim:0 at→sim:0 lengths→sim:0 sim:0(Neg TensorScatter Attention) y→cpu"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	part := p.Partitions()[0]
	if len(p.Partitions()) != 1 || len(part.States) != 1 || part.States[0].In.Name != "kv" || len(part.Kernels) != 3 || part.Space != "sim:0" {
		t.Errorf("the partition is %+v", part)
	}
	if got := strings.Join(saw, "; "); got != "sim:0 x@sim:0,kv,at@sim:0,lengths@sim:0→all,y" {
		t.Errorf("lowered %s", got)
	}
	if len(p.Copies()) != 4 || p.Phase != "extend" {
		t.Errorf("%d copies in phase %q", len(p.Copies()), p.Phase)
	}
}

func TestBuildFails(t *testing.T) {
	const text = `input %x: float32[n] %y = Neg-13(%x) ; a.b %z = Abs-13(%y) ; a.c output %z`
	broken := parse(t, text)
	broken.Nodes[0], broken.Nodes[1] = broken.Nodes[1], broken.Nodes[0]
	ring := parse(t, text)
	ring.Nodes[0].Inputs[0] = ring.Nodes[1].Outputs[0]
	dangling := parse(t, text)
	dangling.Nodes = dangling.Nodes[1:]
	for _, c := range []struct {
		name    string
		g       *graph.Graph
		targets []Target
		err     error
		want    string
	}{
		{"a device that is not there", parse(t, text), devices("cpu"), ErrPlacement, `"sim:0"`},
		{"lowering", parse(t, text), []Target{{Profile: Profile{Name: "sim:0"}, Lowerer: single{fails: "Abs"}}}, nil, "partition 0 on sim:0: node \"a.c\" (Abs): no kernel"},
		{"nodes in a ring", ring, devices("sim:0"), graph.ErrInvalid, `"a.b"`},
		{"a value that nothing makes", dangling, devices("sim:0"), graph.ErrInvalid, `"y@sim:0"`},
	} {
		_, err := Build("p", c.g, rules(t, "sim:0"), c.targets)
		if err == nil || c.err != nil && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %s", c.name, err, c.want)
		}
	}
	// Nodes in another order are put into one that is legal.
	if p, err := Build("p", broken, rules(t, "sim:0"), devices("sim:0")); err != nil || schedule(p) != "x→sim:0 sim:0(Neg Abs) z→cpu" {
		t.Errorf("%v", err)
	}
}

// TestVerify breaks a good plan in every way that the verifier knows.
func TestVerify(t *testing.T) {
	plan := func(t *testing.T) *Plan {
		t.Helper()
		p, err := Build("graph", parse(t, `input %x: float32[n]
			%a = Neg-13(%x) ; s.a %b = Abs-13(%a) ; s.b %c = Exp-13(%b) ; s.c %d = Relu-14(%c) ; s.d output %d`),
			rules(t, "s.b=sim:0,s.c=sim:0"), devices("cpu", "sim:0"))
		if err != nil {
			t.Fatal(err)
		}
		if got := schedule(p); got != "cpu(Neg) a→sim:0 sim:0(Abs Exp) c→cpu cpu(Relu)" {
			t.Fatalf("the plan is %s", got)
		}
		return p
	}
	for _, c := range []struct {
		name, want string
		damage     func(*Plan)
	}{
		{"a node that runs before what it reads", `"a"`, func(p *Plan) { p.Steps[0], p.Steps[1] = p.Steps[1], p.Steps[0] }},
		{"nodes of a partition in the wrong order", `"b"`, func(p *Plan) {
			n := p.Steps[2].Partition.Nodes
			n[0], n[1] = n[1], n[0]
		}},
		{"a node that never runs", `"s.d"`, func(p *Plan) { p.Steps = p.Steps[:4] }},
		{"a node that runs twice in place of another", `"s.a"`, func(p *Plan) { p.Steps[4] = p.Steps[0] }},
		{"a node of another graph", `"s.b"`, func(p *Plan) {
			n := p.Steps[2].Partition.Nodes
			k := *n[0]
			n[0] = &k
		}},
		{"a copy that is left out", `"a@sim:0"`, func(p *Plan) { p.Steps = append(p.Steps[:1:1], p.Steps[2:]...) }},
		{"a partition on another device than its nodes", `"s.b"`, func(p *Plan) { p.Steps[2].Partition.Target = "cpu" }},
		{"a partition in another space than its device's", "sim:1", func(p *Plan) { p.Steps[2].Partition.Space = "sim:1" }},
		{"a node among those of another device", `"s.d"`, func(p *Plan) {
			p.Steps[2].Partition.Nodes = append(p.Steps[2].Partition.Nodes, p.Steps[4].Partition.Nodes...)
			p.Steps[4].Partition.Nodes = nil
		}},
		{"a copy within a partition", `"c@cpu"`, func(p *Plan) {
			p.Steps[2].Partition.Nodes = append(p.Steps[2].Partition.Nodes, p.Steps[3].Copy)
			p.Steps = append(p.Steps[:3:3], p.Steps[4])
		}},
		{"a copy that is an ordinary node", `"s.a"`, func(p *Plan) { p.Steps[0] = Step{Copy: p.Steps[0].Partition.Nodes[0]} }},
		{"a step that is neither", "step 1", func(p *Plan) { p.Steps[1] = Step{} }},
		{"a step that is both", "step 0", func(p *Plan) { p.Steps[0].Copy = p.Steps[1].Copy }},
		{"a value in another space than its node's", `"b"`, func(p *Plan) { p.Steps[2].Partition.Nodes[0].Outputs[0].Type.Space = "cpu" }},
		{"a graph that is invalid", `"x"`, func(p *Plan) { p.Graph.Inputs[0].Type.Space = "sim:0" }},
	} {
		p := plan(t)
		c.damage(p)
		err := p.Verify()
		if !errors.Is(err, graph.ErrInvalid) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "phase graph") {
			t.Errorf("%s: %v, want it to name %s", c.name, err, c.want)
		}
	}
}
