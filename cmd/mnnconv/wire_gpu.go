//go:build !nogpu

package main

import (
	"mnnconv/runtime"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/opencl"
)

// gpus are the backends that open drivers. Tag nogpu leaves them out.
func gpus() []runtime.Backend {
	return []runtime.Backend{&cuda.Backend{}, &opencl.Backend{}}
}
