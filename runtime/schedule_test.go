package runtime_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/runtime"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// diamond is two long arms over one input that meet at the end: arms.left.N and
// arms.right.N.
func diamond(t testing.TB) *graph.Graph {
	t.Helper()
	g := graph.New("diamond")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, "n"))
	ends := []*graph.Value{}
	for _, arm := range []string{"left", "right"} {
		v := x
		for i := range 6 {
			k := g.NewConst(fmt.Sprintf("%s.k%d", arm, i), graph.Floats([]float32{float32(i) + 1.5}))
			n := g.NewNode("", []string{"Add", "Mul", "Sub"}[i%3], 24, []*graph.Value{v, k}, fmt.Sprintf("%s.%d", arm, i))
			n.Path = fmt.Sprintf("arms.%s.%d", arm, i)
			g.Append(n)
			v = n.Outputs[0]
		}
		ends = append(ends, v)
	}
	join := g.NewNode("", "Sub", 24, ends, "y")
	join.Path = "join"
	g.Append(join)
	g.Outputs = []*graph.Value{join.Outputs[0], ends[0]}
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestSchedulesAgree runs placements under every schedule and wants the same bits.
func TestSchedulesAgree(t *testing.T) {
	schedules := []string{"serial", "overlap"}
	for seed := range 40 {
		schedules = append(schedules, fmt.Sprintf("random:%d", seed))
	}
	var want [][]float32
	for _, place := range []string{
		"cpu",
		"arms.left=sim:0,arms.right=sim:1",
		"/[135]$/=sim:0,/[024]$/=sim:1",
		"arms.left.0-2=sim:0,arms.left=sim:1,arms.right.0-3=sim:1,arms.right=sim:0,join=sim:1",
	} {
		b := newBench(t, sim.Config{Seed: 1}, sim.Config{Seed: 2})
		e, err := runtime.NewExecutor(build(t, b, diamond(t), place), b.devices)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range schedules {
			sched, err := runtime.ParseSchedule(name)
			if err != nil {
				t.Fatal(err)
			}
			s := e.NewSession(nil, nil, sched)
			for _, n := range []int{5, 2, 5} {
				x := make([]float32, n)
				for i := range x {
					x[i] = float32(i) - 1.25
				}
				outs, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats(x)})
				if err != nil {
					t.Fatalf("%s, %s: %v", place, name, err)
				}
				got := [][]float32{slices.Clone(graph.View[float32](outs[0])), slices.Clone(graph.View[float32](outs[1]))}
				if want == nil {
					want = got
				}
				for k := range got {
					if !slices.Equal(got[k], want[k][:n]) {
						t.Fatalf("%s, %s: output %d is %v, want %v", place, name, k, got[k], want[k][:n])
					}
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMissingWait takes a wait out of the commands: the verifier names both sides.
func TestMissingWait(t *testing.T) {
	b := newBench(t)
	p := build(t, b, diamond(t), "/[135]$/=sim:0,/[024]$/=sim:1")
	m, err := p.Layout(graph.Env{"n": 9})
	if err != nil {
		t.Fatal(err)
	}
	cmds := p.Commands(m, nil)
	if err := p.VerifyCommands(m, cmds); err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, c := range cmds {
		for j := range c.Waits {
			broken := slices.Clone(cmds)
			broken[i].Waits = slices.Delete(slices.Clone(c.Waits), j, j+1)
			if p.VerifyCommands(m, broken) != nil {
				found++
			}
		}
	}
	waits := 0
	for _, c := range cmds {
		waits += len(c.Waits)
	}
	if found != waits || waits == 0 {
		t.Errorf("%d of %d missing waits were found", found, waits)
	}
}

func TestParseSchedule(t *testing.T) {
	for _, bad := range []string{"fast", "random", "random:x", "random:-1", "serial:1"} {
		if _, err := runtime.ParseSchedule(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestBefore looks back through the commands for what each queue has before them.
func TestBefore(t *testing.T) {
	b := newBench(t)
	e, err := runtime.NewExecutor(build(t, b, diamond(t), "/[135]$/=sim:0,/[024]$/=sim:1"), b.devices)
	if err != nil {
		t.Fatal(err)
	}
	a, err := runtime.NewArenas(map[string]graph.Env{"graph": {"n": 9}}, e)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, a, e)
	_, cmds := a.Layout("graph")
	got := a.Before("graph")
	for i, c := range cmds {
		want := i - 1
		for want >= 0 && cmds[want].Queue != c.Queue {
			want--
		}
		if got[i] != want {
			t.Errorf("before command %d of %s comes %d, want %d", i, c.Queue, got[i], want)
		}
	}
}
