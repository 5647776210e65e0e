package main

import (
	"mnnconv"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// wire is the only list of backends and of models, and brings the operators. Those that
// open drivers stand in wire_gpu.go.
// threads is how many processors the host's kernels use; 0: all.
func wire(threads int) mnnconv.Options {
	table := op.All()
	return mnnconv.Options{
		Load:   models.Options{Table: table},
		Models: []models.Kind{qwen25vl.Kind},
		Backends: append([]runtime.Backend{
			&cpu.Backend{Table: table, Threads: threads},
			&sim.Backend{Table: table, Threads: threads},
		}, gpus()...),
	}
}
