package runtime_test

import (
	"context"
	"testing"

	"mnnconv/graph"
	"mnnconv/runtime"
)

// What a run costs beside its kernels, which have next to nothing to do here: on one
// device, and cut into partitions and copies between three.
func BenchmarkRun(b *testing.B) {
	for name, place := range map[string]string{"whole": "cpu", "cut": "/[135]$/=sim:0,/[024]$/=sim:1"} {
		b.Run(name, func(b *testing.B) {
			devices := newBench(b)
			e, err := runtime.NewExecutor(build(b, devices, diamond(b), place), devices.devices)
			if err != nil {
				b.Fatal(err)
			}
			s := e.NewSession(nil, nil, runtime.Schedule{})
			defer closeAll(b, s, e)
			x := []*graph.Tensor{graph.Floats([]float32{1, 2})}
			for b.Loop() {
				if _, err := s.Run(context.Background(), x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
