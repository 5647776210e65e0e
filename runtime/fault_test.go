package runtime_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mnnconv/graph"
	"mnnconv/runtime"
	"mnnconv/runtime/sim"
)

// attempt compiles, runs twice with different sizes, runs again after an error, and
// closes everything. It returns what every run gave.
func attempt(t *testing.T, b *bench, place, schedule string) (outs [][]float32, errs []error) {
	t.Helper()
	sched, err := runtime.ParseSchedule(schedule)
	if err != nil {
		t.Fatal(err)
	}
	p := build(t, b, diamond(t), place)
	e, err := runtime.NewExecutor(p, b.devices)
	if err != nil {
		errs = append(errs, err)
		if e, err = runtime.NewExecutor(p, b.devices); err != nil {
			return nil, append(errs, err)
		}
	}
	s := e.NewSession(nil, nil, sched)
	for _, n := range []int{3, 5, 5, 2} {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(i) - 1.25
		}
		var got []*graph.Tensor
		for range 2 { // a session that failed works again
			if got, err = s.Run(context.Background(), []*graph.Tensor{graph.Floats(x)}); err == nil {
				break
			}
			errs = append(errs, err)
		}
		if err == nil {
			outs = append(outs, append(slices.Clone(graph.View[float32](got[0])), graph.View[float32](got[1])...))
		}
	}
	closeAll(t, s, e)
	return outs, errs
}

// TestFaults makes each device call fail, once and from then on: there is a clear
// error, all is released, and the next run is right.
func TestFaults(t *testing.T) {
	const place = "arms.left.0-2=sim:0,arms.left=sim:1,arms.right.0-3=sim:1,arms.right=sim:0"
	for _, schedule := range []string{"serial", "overlap", "random:7"} {
		healthy := newBench(t)
		want, errs := attempt(t, healthy, place, schedule)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for device := range 2 {
			calls := healthy.sims[device].Stats().Calls[sim.Any]
			if calls < 30 {
				t.Fatalf("sim:%d was called %d times", device, calls)
			}
			for n := 1; n <= calls; n++ {
				for _, stays := range []bool{false, true} {
					var configs [2]sim.Config
					configs[device].Fault = sim.Fault{N: n, Stays: stays}
					b := newBench(t, configs[:]...)
					got, errs := attempt(t, b, place, schedule)
					if len(errs) == 0 || !stays && len(errs) != 1 {
						t.Fatalf("%s, call %d of sim:%d, from then on: %v: errors %v", schedule, n, device, stays, errs)
					}
					for _, err := range errs {
						if !errors.Is(err, runtime.ErrExecution) && !errors.Is(err, runtime.ErrMemory) || !strings.Contains(err.Error(), "simulated fault") {
							t.Errorf("%s, call %d of sim:%d: %v", schedule, n, device, err)
						}
					}
					if !stays && !slices.EqualFunc(got, want, slices.Equal) {
						t.Errorf("%s, call %d of sim:%d: got %v, want %v", schedule, n, device, got, want)
					}
					for i, d := range b.sims {
						if s := d.Stats(); s.Buffers != 0 || s.Memory != 0 {
							t.Errorf("%s, call %d of sim:%d: sim:%d has %d buffers left", schedule, n, device, i, s.Buffers)
						}
					}
				}
			}
		}
	}
}

// cancelling is a device that ends a context at one of its transfers.
type cancelling struct {
	runtime.Device
	left   atomic.Int64
	cancel context.CancelFunc
}

func (c *cancelling) Transfer(dst, src runtime.View, waits []runtime.Event) (runtime.Event, error) {
	if c.left.Add(-1) == 0 {
		c.cancel()
	}
	return c.Device.Transfer(dst, src, waits)
}

// TestCancelAnywhere ends the context at each transfer of a device: the run ends
// with nothing under way, and the next one is right.
func TestCancelAnywhere(t *testing.T) {
	for _, schedule := range []string{"serial", "overlap", "random:3"} {
		b := newBench(t, sim.Config{Seed: 5}, sim.Config{Seed: 6})
		p := build(t, b, diamond(t), "/[135]$/=sim:0,/[024]$/=sim:1")
		c := &cancelling{Device: b.sims[0]}
		b.devices["sim:0"] = c
		e, err := runtime.NewExecutor(p, b.devices)
		if err != nil {
			t.Fatal(err)
		}
		sched, err := runtime.ParseSchedule(schedule)
		if err != nil {
			t.Fatal(err)
		}
		s := e.NewSession(nil, nil, sched)
		cancelled, want := 0, []float32(nil)
		for n := range 12 {
			ctx, cancel := context.WithCancel(context.Background())
			c.cancel = cancel
			c.left.Store(int64(n))
			if _, err := s.Run(ctx, []*graph.Tensor{graph.Floats([]float32{1, 2})}); errors.Is(err, context.Canceled) {
				cancelled++
			} else if err != nil {
				t.Fatalf("%s: %v", schedule, err)
			}
			cancel()
			outs, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats([]float32{1, 2})})
			if err != nil {
				t.Fatalf("%s: after a cancelled run: %v", schedule, err)
			}
			got := slices.Clone(graph.View[float32](outs[0]))
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: after a cancelled run: %v, want %v", schedule, got, want)
			}
		}
		if cancelled < 5 {
			t.Errorf("%s: %d runs were cancelled", schedule, cancelled)
		}
		closeAll(t, s, e)
	}
}
