//go:build !nogpu

package main

import (
	"time"

	"mnnconv/runtime"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/opencl"
)

// gpus are the backends that open drivers. Tag nogpu leaves them out. timeout bounds
// how long a device may take for what was queued.
func gpus(timeout time.Duration) []runtime.Backend {
	return []runtime.Backend{&cuda.Backend{Timeout: timeout}, &opencl.Backend{Timeout: timeout}}
}
