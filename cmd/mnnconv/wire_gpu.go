//go:build !nogpu

package main

import (
	"mnnconv/runtime"
	"mnnconv/runtime/opencl"
)

// gpus are the backends that open drivers. Tag nogpu leaves them out.
func gpus() []runtime.Backend {
	return []runtime.Backend{&opencl.Backend{}}
}
