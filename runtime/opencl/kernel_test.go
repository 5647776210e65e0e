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

// TestAhead starts runs before those in front of them are looked at.
func TestAhead(t *testing.T) {
	gputest.Ahead(t, &opencl.Backend{}, &cpu.Backend{Table: op.All(), Threads: 1}, 9, nil)
}
