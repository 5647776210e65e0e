//go:build linux && !nogpu

package cuda_test

import (
	"testing"

	"mnnconv/runtime/cpu"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/cuda/standin"
	"mnnconv/runtime/gpu/gputest"
	"mnnconv/schemas/op"
)

// TestKernels tries all kernels.
func TestKernels(t *testing.T) {
	standin.Use(t, "")
	gputest.Kernels(t, &cuda.Backend{Wrap: gputest.Guard}, &cpu.Backend{Table: op.All(), Threads: 1})
}
