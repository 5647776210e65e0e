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
)

// fed opens a session of forked with arenas for n numbers.
func fed(t *testing.T, b *bench, place, schedule string, n int64, o runtime.ExecutorOptions) *runtime.Session {
	t.Helper()
	e, err := runtime.NewExecutorWith(build(t, b, forked(t), place), b.devices, o)
	if err != nil {
		t.Fatal(err)
	}
	a, err := runtime.NewArenas(map[string]graph.Env{"graph": {"n": n}}, e)
	if err != nil {
		t.Fatal(err)
	}
	order, err := runtime.ParseSchedule(schedule)
	if err != nil {
		t.Fatal(err)
	}
	s := e.NewSession(nil, a, order)
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), a.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestAhead starts each run before the one in front of it is looked at: its first number
// comes from there, the others from the host, and nobody else's numbers are touched
// however late the device is. Runs of other shapes and plain ones stand in between.
func TestAhead(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(8) {
		b := newBench(t, sim.Config{Seed: seed})
		s := fed(t, b, "sim:0", "", 4, runtime.ExecutorOptions{})
		if !s.Feed(0, 2, 8) {
			t.Fatal("all commands are of one queue, and a run cannot be fed")
		}
		x := graph.Floats([]float32{0, 0})
		start := func(fed bool, first, second float32) {
			t.Helper()
			copy(graph.View[float32](x), []float32{first, second}) // the caller's again at once
			if err := s.Start(ctx, []*graph.Tensor{x}, fed); err != nil {
				t.Fatal(err)
			}
		}
		sum := func(outs []*graph.Tensor, err error, want ...float32) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			square := slices.Clone(want)
			for i, v := range want {
				square[i] = v * v
			}
			if !slices.Equal(graph.View[float32](outs[2]), want) || !slices.Equal(graph.View[float32](outs[1]), square) {
				t.Errorf("seed %d: sums %v and squares %v, want %v", seed, graph.View[float32](outs[2]), graph.View[float32](outs[1]), want)
			}
		}
		for range 3 {
			start(false, 5, 100)
			for i := float32(0); i < 6; i++ {
				start(true, -1, 200+i)
				outs, err := s.Await()
				if i == 0 {
					sum(outs, err, 6, 101)
				} else {
					sum(outs, err, 6+i, 200+i)
				}
			}
			outs, err := s.Await()
			sum(outs, err, 12, 206)
			if all, err := s.Fetch(ctx, 1); err != nil || graph.View[float32](all)[0] != 144 {
				t.Errorf("seed %d: fetched %v, error %v", seed, all, err)
			}
			start(false, 1, 1)
			start(true, 1, 1) // nobody wants these
			outs, err = s.Run(ctx, []*graph.Tensor{graph.Floats([]float32{7, 8, 9})})
			sum(outs, err, 8, 9, 10)
			longer := graph.Floats([]float32{2, 3, 4, 5})
			if err := s.Start(ctx, []*graph.Tensor{longer}, false); err != nil {
				t.Fatal(err)
			}
			outs, err = s.Await()
			sum(outs, err, 3, 4, 5, 6)
		}
		start(false, 1, 1) // closed while it is under way
	}
}

// TestAheadRefused wants runs to be started behind others only as they may be.
func TestAheadRefused(t *testing.T) {
	ctx, in := context.Background(), []*graph.Tensor{graph.Floats([]float32{1})}
	b := newBench(t)
	s := fed(t, b, "sim:0", "", 2, runtime.ExecutorOptions{})
	invalid := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	invalid("before Feed", s.Start(ctx, in, false))
	if s.Feed(0, 2, 12) {
		t.Error("an input can be fed that is larger than the session was opened for")
	}
	if !s.Feed(0, 2, 8) {
		t.Fatal("cannot be fed")
	}
	invalid("fed by none", s.Start(ctx, in, true))
	_, err := s.Await()
	invalid("awaits none", err)
	for _, fed := range []bool{false, true} {
		if err := s.Start(ctx, in, fed); err != nil {
			t.Fatal(err)
		}
	}
	invalid("a third", s.Start(ctx, in, true))
	if _, err := s.Await(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Fetch(ctx, 2)
	invalid("overwritten", err)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Start(ended, in, true); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
	if err := s.Settle(); err != nil {
		t.Error(err)
	}
	for what, s := range map[string]*runtime.Session{
		"on the host":      fed(t, b, "", "", 2, runtime.ExecutorOptions{}),
		"of two devices":   fed(t, b, "stage.square=sim:1,stage=sim:0", "", 2, runtime.ExecutorOptions{}),
		"cut to the host":  fed(t, b, "stage.relu=cpu,stage=sim:0", "", 2, runtime.ExecutorOptions{}),
		"in another order": fed(t, b, "sim:0", "overlap", 2, runtime.ExecutorOptions{}),
		"released":         fed(t, b, "sim:0", "", 2, runtime.ExecutorOptions{Policy: partition.Policy{"sim:0": {Release: []string{"stage"}}}}),
		"looked at": func() *runtime.Session {
			s := fed(t, b, "sim:0", "", 2, runtime.ExecutorOptions{})
			s.Observe(func(*graph.Value, *graph.Tensor) error { return nil })
			return s
		}(),
	} {
		if s.Feed(0, 2, 8) {
			t.Errorf("%s: it can be fed", what)
		}
	}
}
