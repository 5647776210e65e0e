package opencl_test

import (
	"testing"

	"mnnconv/runtime/cpu"
	"mnnconv/runtime/gpu/gputest"
	"mnnconv/runtime/opencl"
	"mnnconv/schemas/op"
)

// TestKernels tries all kernels.
func TestKernels(t *testing.T) {
	gputest.Kernels(t, &opencl.Backend{Wrap: gputest.Guard}, &cpu.Backend{Table: op.All(), Threads: 1})
}
