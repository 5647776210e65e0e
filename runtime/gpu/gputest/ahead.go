package gputest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/schemas/op"
)

// Ahead starts runs of y = 2x + 1 on device 0 of a backend, each before the one in front of
// it is looked at: its first number comes from there, on the device. counted, unless nil, is
// called when each run but the first has been started.
func Ahead(t *testing.T, on, host runtime.Backend, runs int, counted func(run int)) {
	t.Helper()
	devices := map[string]runtime.Device{}
	var targets []partition.Target
	for _, b := range []runtime.Backend{host, on} {
		p, err := b.Profile(0)
		if err != nil {
			t.Fatal(err)
		}
		if devices[p.Name], err = b.Open(p); err != nil {
			t.Fatal(err)
		}
		targets = append(targets, partition.Target{Profile: p, Lowerer: b})
	}
	rules, err := partition.ParseRules(targets[1].Profile.Name)
	if err != nil {
		t.Fatal(err)
	}
	g := graph.New("ahead")
	x := g.NewInput("x", graph.TensorOf(graph.Int64, "n"))
	twice := g.NewNode("", "Add", 24, []*graph.Value{x, x}, "twice")
	more := g.NewNode("", "Add", 24, []*graph.Value{twice.Outputs[0], g.NewConst("one", graph.Ints([]int64{1}))}, "y")
	first := g.NewNode("", "Gather", 24, []*graph.Value{more.Outputs[0], g.NewConst("zero", graph.Ints([]int64{0}))}, "first")
	twice.Path, more.Path, first.Path = "stage.twice", "stage.more", "stage.first"
	g.Append(twice, more, first)
	g.Outputs = []*graph.Value{more.Outputs[0], first.Outputs[0]}
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	plan, err := partition.Build("run", g, rules, targets)
	if err != nil {
		t.Fatal(err)
	}
	e, err := runtime.NewExecutor(plan, devices)
	if err != nil {
		t.Fatal(err)
	}
	a, err := runtime.NewArenas(map[string]graph.Env{"run": {"n": 300}}, e) // more than a run takes: first lies where x did
	if err != nil {
		t.Fatal(err)
	}
	s := e.NewSession(nil, a, runtime.Schedule{})
	defer func() {
		err := errors.Join(s.Close(), a.Close(), e.Close())
		for _, p := range targets {
			err = errors.Join(err, devices[p.Profile.Name].Close())
		}
		if err != nil {
			t.Error(err)
		}
	}()
	if !s.Feed(0, 1, 8*3) {
		t.Fatal("all commands are of one queue, and a run cannot be fed")
	}
	in, ctx := graph.Ints([]int64{5, 6, 7}), context.Background()
	values := graph.View[int64](in)
	if err := s.Start(ctx, []*graph.Tensor{in}, false); err != nil {
		t.Fatal(err)
	}
	want := []int64{11, 13, 15}
	for i := range runs {
		if i+1 < runs {
			copy(values, []int64{-1, int64(i), int64(-i)})
			if err := s.Start(ctx, []*graph.Tensor{in}, true); err != nil {
				t.Fatal(err)
			}
			if counted != nil {
				counted(i + 1)
			}
		}
		outs, err := s.Await()
		if err != nil {
			t.Fatal(err)
		}
		if got := graph.View[int64](outs[0]); !slices.Equal(got, want) {
			t.Errorf("run %d: %d, want %d", i, got, want)
		}
		want = []int64{2*want[0] + 1, int64(2*i + 1), int64(1 - 2*i)}
	}
}
