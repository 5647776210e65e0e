package runtime_test

import (
	"context"
	"errors"
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

// bench is the devices of a test.
type bench struct {
	targets []partition.Target
	devices map[string]runtime.Device
	sims    []*sim.Device
}

// newBench opens cpu, sim:0 and sim:1; configs are of the simulated devices.
func newBench(t testing.TB, configs ...sim.Config) *bench {
	t.Helper()
	table := op.All()
	b := &bench{devices: map[string]runtime.Device{}}
	s := &sim.Backend{Table: table, Threads: 2, Opened: func(d *sim.Device) { b.sims = append(b.sims, d) }}
	copy(s.Config[:], configs)
	open := func(backend runtime.Backend, ordinal int) {
		p, err := backend.Profile(ordinal)
		if err != nil {
			t.Fatal(err)
		}
		d, err := backend.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Errorf("closing %s: %v", p.Name, err)
			}
		})
		b.targets = append(b.targets, partition.Target{Profile: p, Lowerer: backend})
		b.devices[p.Name] = d
	}
	open(&cpu.Backend{Table: table, Threads: 2}, 0)
	open(s, 0)
	open(s, 1)
	return b
}

// chain is y = Relu(x + 1) ∘ Neg, with one node a stage: stage.add, stage.neg,
// stage.relu.
func chain(t *testing.T) *graph.Graph {
	t.Helper()
	g := graph.New("chain")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, "n"))
	one := g.NewConst("one", graph.Floats([]float32{1}))
	add := g.NewNode("", "Add", 24, []*graph.Value{x, one}, "sum")
	neg := g.NewNode("", "Neg", 24, []*graph.Value{add.Outputs[0]}, "minus")
	relu := g.NewNode("", "Relu", 24, []*graph.Value{neg.Outputs[0]}, "y")
	add.Path, neg.Path, relu.Path = "stage.add", "stage.neg", "stage.relu"
	g.Append(add, neg, relu)
	g.Outputs = []*graph.Value{relu.Outputs[0]}
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	return g
}

func build(t testing.TB, b *bench, g *graph.Graph, place string) *partition.Plan {
	t.Helper()
	rules, err := partition.ParseRules(place)
	if err != nil {
		t.Fatal(err)
	}
	p, err := partition.Build("graph", g, rules, b.targets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func run(t *testing.T, b *bench, p *partition.Plan, x ...float32) ([]float32, error) {
	t.Helper()
	e, err := runtime.NewExecutor(p, b.devices)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := e.NewSession(nil, nil, runtime.Schedule{})
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	outs, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats(x)})
	if err != nil {
		return nil, err
	}
	return slices.Clone(graph.View[float32](outs[0])), nil
}

func TestPlacementsAgree(t *testing.T) {
	for _, c := range []struct {
		place              string
		partitions, copies int
	}{
		{"", 1, 0},
		{"sim:0", 1, 2},
		{"stage.neg=sim:0", 3, 2},
		{"stage.add=sim:0,stage.neg=sim:1", 3, 3},
		{"stage.add=sim:0,stage.relu=sim:0", 3, 4},
		{"/neg|relu/=sim:1", 2, 2},
	} {
		b := newBench(t)
		p := build(t, b, chain(t), c.place)
		if len(p.Partitions()) != c.partitions || len(p.Copies()) != c.copies {
			t.Errorf("%q: %d partitions and %d copies, want %d and %d", c.place, len(p.Partitions()), len(p.Copies()), c.partitions, c.copies)
		}
		got, err := run(t, b, p, 1, -3, 0, -1.5)
		if err != nil {
			t.Fatalf("%q: %v", c.place, err)
		}
		if want := []float32{0, 2, 0, 0.5}; !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", c.place, got, want)
		}
	}
}

// TestMissingCopy takes a Copy out of a plan: the verifier refuses it, and forced
// past the verifier the device refuses the address. Both name the value and both
// spaces.
func TestMissingCopy(t *testing.T) {
	b := newBench(t)
	p := build(t, b, chain(t), "stage.neg=sim:0")
	i := slices.IndexFunc(p.Steps, func(s partition.Step) bool { return s.Copy != nil && s.Copy.Inputs[0].Name == "sum" })
	if i < 0 {
		t.Fatal("no copy of sum in the plan")
	}
	dropped := p.Steps[i].Copy
	p.Steps = slices.Delete(p.Steps, i, i+1)
	p.Graph.Nodes = slices.DeleteFunc(p.Graph.Nodes, func(n *graph.Node) bool { return n == dropped })
	p.Graph.Replace(map[*graph.Value]*graph.Value{dropped.Outputs[0]: dropped.Inputs[0]})
	for _, part := range p.Partitions() {
		for j, v := range part.Inputs {
			if v == dropped.Outputs[0] {
				part.Inputs[j] = dropped.Inputs[0]
			}
		}
	}
	names := func(err error) {
		t.Helper()
		for _, word := range []string{`"sum"`, "cpu", "sim:0"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q is not named in %q", word, err)
			}
		}
	}
	err := p.Verify()
	if !errors.Is(err, graph.ErrInvalid) {
		t.Fatalf("verify: %v", err)
	}
	names(err)
	_, err = run(t, b, p, 1, 2)
	if !errors.Is(err, runtime.ErrAddress) {
		t.Fatalf("run: %v", err)
	}
	names(err)
}

func TestUnknownDevice(t *testing.T) {
	b := newBench(t)
	rules, err := partition.ParseRules("stage.neg=sim:3")
	if err != nil {
		t.Fatal(err)
	}
	_, err = partition.Build("graph", chain(t), rules, b.targets)
	if !errors.Is(err, partition.ErrPlacement) || !strings.Contains(err.Error(), "sim:3") {
		t.Errorf("got %v", err)
	}
}

// TestShapesChange runs one session with several input sizes, empty ones too.
func TestShapesChange(t *testing.T) {
	b := newBench(t)
	p := build(t, b, chain(t), "stage.neg=sim:0")
	e, err := runtime.NewExecutor(p, b.devices)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := e.NewSession(nil, nil, runtime.Schedule{})
	defer s.Close()
	for _, n := range []int{3, 1, 0, 5, 3, 2, 7, 3} {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(-2 * i)
		}
		outs, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats(x)})
		if err != nil {
			t.Fatalf("%d elements: %v", n, err)
		}
		for i, y := range graph.View[float32](outs[0]) {
			if want := max(0, float32(2*i-1)); y != want {
				t.Errorf("%d elements: y[%d] = %v, want %v", n, i, y, want)
			}
		}
	}
}

func TestCancel(t *testing.T) {
	b := newBench(t)
	p := build(t, b, chain(t), "")
	e, err := runtime.NewExecutor(p, b.devices)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := e.NewSession(nil, nil, runtime.Schedule{})
	defer s.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Run(ctx, []*graph.Tensor{graph.Floats([]float32{1})}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestShapesFromData sends a value of fixed shape to another device that a kernel
// made from one whose shape only running tells.
func TestShapesFromData(t *testing.T) {
	for _, place := range []string{"", "tail=sim:0", "front=sim:0", "front=sim:0,tail=sim:1"} {
		b := newBench(t)
		g := graph.New("data")
		x := g.NewInput("x", graph.TensorOf(graph.Float32, "n"))
		where := g.NewNode("", "NonZero", 24, []*graph.Value{x}, "where")
		sum := g.NewNode("", "ReduceSum", 24, []*graph.Value{where.Outputs[0]}, "sum")
		neg := g.NewNode("", "Neg", 24, []*graph.Value{sum.Outputs[0]}, "y")
		other := g.NewNode("", "Neg", 24, []*graph.Value{where.Outputs[0]}, "z")
		where.Path, sum.Path, neg.Path, other.Path = "front.where", "front.sum", "tail.neg", "tail.other"
		g.Append(where, sum, neg, other)
		g.Outputs = []*graph.Value{neg.Outputs[0], other.Outputs[0]}
		if err := op.NewFacts(op.All()).Graph(g); err != nil {
			t.Fatal(err)
		}
		e, err := runtime.NewExecutor(build(t, b, g, place), b.devices)
		if err != nil {
			t.Fatal(err)
		}
		s := e.NewSession(nil, nil, runtime.Schedule{})
		for _, c := range []struct{ x, z []float32 }{
			{[]float32{0, 1, 0, 2}, []float32{-1, -3}},
			{[]float32{0, 0, 5, 2}, []float32{-2, -3}},
			{[]float32{0, 0, 0, 0}, nil},
			{[]float32{3, 0, 5, 2}, []float32{0, -2, -3}},
		} {
			outs, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats(c.x)})
			if err != nil {
				t.Fatalf("%q: %v", place, err)
			}
			var y int64
			z := graph.View[int64](outs[1])
			for i, v := range c.z {
				y += int64(v)
				if i >= len(z) || z[i] != int64(v) {
					t.Fatalf("%q: %v: z is %v", place, c.x, z)
				}
			}
			if got := graph.View[int64](outs[0]); len(z) != len(c.z) || got[0] != y {
				t.Errorf("%q: %v: y is %v, want %d; z is %v", place, c.x, got, y, z)
			}
		}
		closeAll(t, s, e)
	}
}

func closeAll(t testing.TB, cs ...interface{ Close() error }) {
	t.Helper()
	for _, c := range cs {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestReleased runs a plan whose weights on one device go after each run: the next run
// compiles its program again and gives the same.
func TestReleased(t *testing.T) {
	b := newBench(t)
	e, err := runtime.NewExecutorWith(build(t, b, diamond(t), "arms.left=sim:0"), b.devices,
		runtime.ExecutorOptions{Policy: partition.Policy{"sim:0": {Release: []string{"arms"}}}})
	if err != nil {
		t.Fatal(err)
	}
	s := e.NewSession(nil, nil, runtime.Schedule{})
	defer closeAll(t, s, e)
	var want []float32
	for range 3 {
		compiled := b.sims[0].Stats().Calls[sim.Compile]
		outs, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats([]float32{1, -2})})
		if err != nil {
			t.Fatal(err)
		}
		got := slices.Clone(graph.View[float32](outs[1]))
		if want == nil {
			want = got
		}
		if n := b.sims[0].Stats().Calls[sim.Compile] - compiled; n != 1 || !slices.Equal(got, want) {
			t.Errorf("compiled %d times, want 1; got %v, want %v", n, got, want)
		}
	}
}
