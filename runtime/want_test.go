package runtime_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// forked makes y = relu(-(x+1)) and z = (x+1)², and puts out also the sum.
func forked(t *testing.T) *graph.Graph {
	t.Helper()
	g := chain(t)
	sum := g.Nodes[0].Outputs[0]
	square := g.NewNode("", "Mul", 24, []*graph.Value{sum, sum}, "z")
	square.Path = "stage.square"
	g.Append(square)
	g.Outputs = append(g.Outputs, square.Outputs[0], sum)
	if err := op.NewFacts(op.All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestWant wants outputs that nobody wants not to be copied, and to be there when
// they are fetched after all, wherever they were made and in whatever order commands
// ran.
func TestWant(t *testing.T) {
	want := [][]float32{{0, 2, 0.5}, {4, 4, 0.25}, {2, -2, -0.5}}
	for _, place := range []string{"", "sim:0", "stage.add=sim:0,stage.neg=sim:1,stage.square=sim:0", "stage.square=sim:1"} {
		for _, schedule := range []string{"serial", "overlap", "random:1", "random:2", "random:3"} {
			b := newBench(t)
			p := build(t, b, forked(t), place)
			e, err := runtime.NewExecutor(p, b.devices)
			if err != nil {
				t.Fatal(err)
			}
			order, err := runtime.ParseSchedule(schedule)
			if err != nil {
				t.Fatal(err)
			}
			s := e.NewSession(nil, nil, order)
			in := []*graph.Tensor{graph.Floats([]float32{1, -3, -1.5})}
			transferred := func() int {
				n := 0
				for _, d := range b.devices {
					if d, ok := d.(*sim.Device); ok {
						n += d.Stats().Calls[sim.Transfer]
					}
				}
				return n
			}
			all := 0
			for run, wanted := range [][]bool{nil, {true, true, true}, {true, false, false}, {false, false}, {false, false, false}} {
				s.Want(wanted)
				before := transferred()
				outs, err := s.Run(context.Background(), in)
				if err != nil {
					t.Fatalf("%s, %s: %v", place, schedule, err)
				}
				moved := transferred() - before
				for i := range want {
					if (outs[i] != nil) != (i >= len(wanted) || wanted[i]) {
						t.Errorf("%s, %s, run %d: output %d there: %v", place, schedule, run, i, outs[i] != nil)
					}
				}
				switch saved := all - moved; {
				case run == 0:
					all = moved
				case run == 1 && saved != 0, run == 4 && place == "sim:0" && saved != 3, run == 2 && place == "sim:0" && saved != 2,
					place == "" && moved != 0:
					t.Errorf("%s, %s, run %d: %d transfers of %d were saved", place, schedule, run, saved, all)
				}
				for _, i := range []int{2, 0, 1, 1} {
					got, err := s.Fetch(context.Background(), i)
					if err != nil {
						t.Fatalf("%s, %s, run %d: output %d: %v", place, schedule, run, i, err)
					}
					if !slices.Equal(graph.View[float32](got), want[i]) {
						t.Errorf("%s, %s, run %d: output %d is %v, want %v", place, schedule, run, i, graph.View[float32](got), want[i])
					}
				}
			}
			if err := errors.Join(s.Close(), e.Close()); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestWantAll brings what is not wanted where values are checked or looked at.
func TestWantAll(t *testing.T) {
	b := newBench(t)
	p := build(t, b, forked(t), "sim:0")
	e, err := runtime.NewExecutor(p, b.devices)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, watch := range map[string]func(*runtime.Session) error{
		"values checked": func(s *runtime.Session) error {
			c, err := runtime.ParseChecks("values")
			s.Check(c.With(&partition.ContractSet{}))
			return err
		},
		"looked at": func(s *runtime.Session) error {
			s.Observe(func(*graph.Value, *graph.Tensor) error { return nil })
			return nil
		},
	} {
		s := e.NewSession(nil, nil, runtime.Schedule{})
		if err := watch(s); err != nil {
			t.Fatal(err)
		}
		s.Want([]bool{false, false, false})
		outs, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats([]float32{1})})
		if err != nil || slices.Contains(outs, nil) {
			t.Errorf("%s: outputs %v, error %v", name, outs, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFetchNothing fetches before a run, and what is no output.
func TestFetchNothing(t *testing.T) {
	b := newBench(t)
	e, err := runtime.NewExecutor(build(t, b, forked(t), ""), b.devices)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s := e.NewSession(nil, nil, runtime.Schedule{})
	defer s.Close()
	if _, err := s.Fetch(context.Background(), 0); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("before a run: %v", err)
	}
	if _, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats([]float32{1})}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(context.Background(), 3); !errors.Is(err, graph.ErrInvalid) {
		t.Errorf("output 3 of 3: %v", err)
	}
}
