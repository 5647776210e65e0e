package tests_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// FuzzCut makes small graphs of random operators and runs them whole on the
// processor, and cut at random over it and two simulated devices: the same bits.
func FuzzCut(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, seed*7)
	}
	f.Fuzz(func(t *testing.T, seed, cut uint64) {
		r := &randomGraph{Rand: rand.New(rand.NewPCG(seed, 1)), g: graph.New("random"), facts: op.NewFacts(op.All())}
		in := r.build()
		whole, err := runCut(t, r.g, nil, in)
		if err != nil {
			return // an index out of range, say: then the cut graph has nothing to equal
		}
		places, rules := rand.New(rand.NewPCG(cut, 2)), []string{}
		for i := range r.g.Nodes {
			if device := []string{"cpu", "sim:0", "sim:1"}[places.IntN(3)]; device != "cpu" {
				rules = append(rules, fmt.Sprintf("/^n%d$/=%s", i, device))
			}
		}
		parsed, err := partition.ParseRules(strings.Join(rules, ","))
		if err != nil {
			t.Fatal(err)
		}
		got, err := runCut(t, r.g, append(parsed, partition.FallbackTo("cpu")), in)
		if err != nil {
			t.Fatalf("whole it runs, cut by %v: %v\n%s", rules, err, graph.Text(r.g))
		}
		for i, w := range whole {
			if got[i].DType != w.DType || !slices.Equal(got[i].Shape, w.Shape) || !bytes.Equal(got[i].Data, w.Data) {
				t.Errorf("output %d: whole %s, cut by %v another %s\n%s", i, w.Type(), rules, got[i].Type(), graph.Text(r.g))
			}
		}
	})
}

// runCut runs a copy of g under rules and returns copies of its outputs.
func runCut(t *testing.T, g *graph.Graph, rules []partition.Rule, in []*graph.Tensor) (outs []*graph.Tensor, err error) {
	t.Helper()
	g, _ = g.Clone()
	table := op.All()
	devices := map[string]runtime.Device{}
	defer func() {
		for _, d := range devices {
			err = errors.Join(err, d.Close())
		}
	}()
	simulated := &sim.Backend{Table: table, Threads: 1}
	simulated.Config[0].Seed, simulated.Config[1].Seed = 1, 2
	var targets []partition.Target
	for _, d := range []struct {
		b runtime.Backend
		i int
	}{{&cpu.Backend{Table: table, Threads: 1}, 0}, {simulated, 0}, {simulated, 1}} {
		p, err := d.b.Profile(d.i)
		if err != nil {
			return nil, err
		}
		if devices[p.Name], err = d.b.Open(p); err != nil {
			return nil, err
		}
		targets = append(targets, partition.Target{Profile: p, Lowerer: d.b})
	}
	plan, err := partition.Build("graph", g, rules, targets)
	if err != nil {
		return nil, err
	}
	e, err := runtime.NewExecutor(plan, devices)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s := e.NewSession(nil, nil, runtime.Schedule{})
	defer func() { err = errors.Join(err, s.Close()) }()
	for range 2 { // the second run finds the launches recorded and the memory used
		got, err := s.Run(t.Context(), in)
		if err != nil {
			return nil, err
		}
		outs = outs[:0]
		for _, x := range got {
			c := *x
			c.Data, c.Shape = bytes.Clone(x.Data), slices.Clone(x.Shape)
			outs = append(outs, &c)
		}
	}
	return outs, nil
}

// randomGraph grows a graph whose nodes are called n0, n1 and so on.
type randomGraph struct {
	*rand.Rand
	g      *graph.Graph
	facts  *op.Facts
	values []*graph.Value // float32 tensors so far
	conds  []*graph.Value
}

// build makes a graph and values for its inputs.
func (r *randomGraph) build() []*graph.Tensor {
	var in []*graph.Tensor
	for i := range 2 + r.IntN(2) {
		shape := [][]int64{{2, 3}, {3}, {2, 1}, {1, 3}, {4, 3}, {0, 3}, {}}[r.IntN(7)]
		t, err := graph.NewTensor(graph.Float32, shape...)
		if err != nil {
			panic(err)
		}
		for k, v := 0, graph.View[float32](t); k < len(v); k++ {
			v[k] = float32(r.IntN(9)-4) / 2
		}
		in = append(in, t)
		typ := t.Type()
		for k, n := range shape { // sometimes an extent that only the call tells
			if r.IntN(3) == 0 {
				typ.Shape[k] = graph.Sym(fmt.Sprintf("s%d", n))
			}
		}
		r.values = append(r.values, r.g.NewInput(fmt.Sprint("x", i), typ))
	}
	for range 4 + r.IntN(12) {
		r.grow()
	}
	uses := r.g.Uses()
	for _, v := range r.values {
		if v.Def != nil && (len(uses[v]) == 0 || r.IntN(4) == 0) {
			r.g.Outputs = append(r.g.Outputs, v)
		}
	}
	if len(r.g.Outputs) == 0 {
		r.g.Outputs = r.values[:1]
	}
	return in
}

func (r *randomGraph) pick() *graph.Value { return r.values[r.IntN(len(r.values))] }

// grow adds a node, unless inference finds that it cannot be.
func (r *randomGraph) grow() {
	unary := []string{"Neg", "Abs", "Sigmoid", "Tanh", "Relu", "Floor", "Identity", "Softmax", "Transpose", "Erf"}
	binary := []string{"Add", "Sub", "Mul", "Max", "MatMul", "Where", "Concat"}
	ints := func(v ...int64) *graph.Value {
		return r.g.NewConst(fmt.Sprint("k", r.g.NumValues()), graph.Ints(v))
	}
	attr := func(name string, v any) []graph.Attr { return []graph.Attr{{Name: name, Value: v}} }
	axis := int64(r.IntN(2))
	x, y := r.pick(), r.pick()
	switch r.IntN(9) {
	case 0, 1:
		r.add(unary[r.IntN(len(unary))], nil, nil, x)
	case 2, 3:
		switch name := binary[r.IntN(len(binary))]; {
		case name == "Concat":
			r.add(name, attr("axis", axis), nil, x, y)
		case name == "Where" && len(r.conds) > 0:
			r.add(name, nil, nil, r.conds[r.IntN(len(r.conds))], x, y)
		case name != "Where":
			r.add(name, nil, nil, x, y)
		}
	case 4:
		r.add("ReduceSum", nil, nil, x, ints(axis))
	case 5:
		r.add([]string{"Reshape", "Unsqueeze"}[axis], nil, nil, x, ints(-axis-(1-axis)))
	case 6:
		if v := r.add("Greater", nil, nil, x, y); v != nil {
			r.conds = append(r.conds, v)
		}
	case 7: // rows whose number only running tells
		if len(r.conds) > 0 {
			r.add("Compress", attr("axis", int64(0)), nil, x, r.conds[r.IntN(len(r.conds))])
		}
	case 8: // a branch that hands on what it captures
		if yes := r.add("ReduceMax", attr("keepdims", int64(0)), nil, x); yes != nil {
			if cond := r.add("Greater", nil, nil, yes, r.g.NewConst(fmt.Sprint("k", r.g.NumValues()), graph.Floats([]float32{0}).Reshape())); cond != nil {
				r.add("If", nil, []*graph.Body{branch("then_branch", x), branch("else_branch", y)}, cond)
			}
		}
	}
}

func branch(attr string, v *graph.Value) *graph.Body {
	g := graph.New(attr)
	c := g.NewValue(v.Name, v.Type)
	g.Captures = []*graph.Value{c}
	n := g.NewNode("", "Identity", 16, []*graph.Value{c}, attr)
	g.Append(n)
	g.Outputs = n.Outputs
	return &graph.Body{Attr: attr, Graph: g, Outer: []*graph.Value{v}}
}

func (r *randomGraph) add(name string, attrs []graph.Attr, bodies []*graph.Body, ins ...*graph.Value) *graph.Value {
	n := r.g.NewNode("", name, 20, ins, fmt.Sprint("v", r.g.NumValues()))
	n.Name, n.Attrs, n.Bodies = fmt.Sprint("n", len(r.g.Nodes)), attrs, bodies
	if r.facts.Node(n) != nil {
		return nil
	}
	r.g.Append(n)
	v := n.Outputs[0]
	if v.Type.DType == graph.Float32 {
		r.values = append(r.values, v)
	}
	return v
}
