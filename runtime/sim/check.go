package sim

import (
	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
)

// CheckValues queues a look at a tensor in the device's own memory.
func (d *Device) CheckValues(b runtime.Bound, demands []partition.Relation, env graph.Env, waits []runtime.Event) (runtime.Event, error) {
	c := &command{waits: waits}
	mem, err := d.use(c, b.View, "check")
	if err != nil {
		return nil, err
	}
	c.do = func() error {
		t := &graph.Tensor{DType: b.DType, Shape: b.Shape, Data: mem}
		for _, r := range demands {
			if err := r.CheckValues(t, nil, env); err != nil {
				return err
			}
		}
		return nil
	}
	d.enqueue(c)
	return c, nil
}
