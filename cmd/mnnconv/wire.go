package main

import (
	goruntime "runtime"
	"time"

	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/host"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// wire is the only list of backends and of models, and brings the operators. Those that
// open drivers stand in wire_gpu.go.
// threads is how many processors the host's kernels use, 0: all; math is their
// arithmetic; timeout is a device's for what was queued, 0: none.
func wire(threads int, math host.Math, timeout time.Duration) mnnconv.Options {
	table := op.All()
	lanes := threads
	if lanes == 0 {
		lanes = goruntime.GOMAXPROCS(0)
	}
	return mnnconv.Options{
		Load:    models.Options{Table: table},
		Models:  []models.Kind{qwen25vl.Kind},
		Session: models.SessionOptions{Lanes: lanes},
		Backends: append([]runtime.Backend{
			&cpu.Backend{Table: table, Threads: threads, Math: math},
			&sim.Backend{Table: table, Threads: threads, Math: math},
		}, gpus(timeout)...),
	}
}
