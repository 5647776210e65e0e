package cpu

import (
	"context"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
)

// CheckValues checks a tensor in host memory.
func (d *device) CheckValues(b runtime.Bound, demands []partition.Relation, env graph.Env, waits []runtime.Event) (runtime.Event, error) {
	for _, w := range waits {
		if err := w.Wait(context.Background()); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	mem, err := hostBytes(b.View)
	if err != nil {
		return nil, err
	}
	t := &graph.Tensor{DType: b.DType, Shape: b.Shape, Data: mem}
	for _, r := range demands {
		if err := r.CheckValues(t, nil, env); err != nil {
			return nil, err
		}
	}
	return done{start, time.Now()}, nil
}
