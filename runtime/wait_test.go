//go:build !race

package runtime_test

import (
	"context"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/runtime"
	"mnnconv/runtime/sim"
)

// TestMissingWaitHarms runs commands whose waits were taken out: devices that run
// as late as they are allowed to then give stale data. It is a race on purpose, so
// the race detector's runs leave it out.
func TestMissingWaitHarms(t *testing.T) {
	wrong := map[bool]int{}
	for _, drop := range []bool{false, true} {
		for seed := range uint64(10) {
			b := newBench(t, sim.Config{Seed: 2*seed + 1}, sim.Config{Seed: 2*seed + 2})
			e, err := runtime.NewExecutor(build(t, b, diamond(t), "/[135]$/=sim:0,/[024]$/=sim:1"), b.devices)
			if err != nil {
				t.Fatal(err)
			}
			overlap, err := runtime.ParseSchedule("overlap")
			if err != nil {
				t.Fatal(err)
			}
			s := e.NewSession(nil, nil, overlap)
			var before []float32
			for _, x := range []float32{1, 1, 2} {
				outs, err := s.Run(context.Background(), []*graph.Tensor{graph.Floats([]float32{x, x})})
				if err != nil {
					t.Fatal(err)
				}
				got := slices.Clone(graph.View[float32](outs[1]))
				if same := slices.Equal(got, before); before != nil && same != (x == 1) {
					wrong[drop]++
				}
				if before = got; drop {
					s.DropWaits()
				}
			}
			closeAll(t, s, e)
		}
	}
	if wrong[false] > 0 || wrong[true] == 0 {
		t.Errorf("%d wrong results with waits, %d without", wrong[false], wrong[true])
	}
}
