//go:build linux && !nogpu

package cuda_test

import (
	"testing"

	"mnnconv/partition"
	"mnnconv/runtime"
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

// TestCases runs the operators' cases.
func TestCases(t *testing.T) {
	standin.Use(t, "")
	table := op.All()
	var targets []partition.Target
	var devices []runtime.Device
	for _, b := range []runtime.Backend{&cuda.Backend{}, &cpu.Backend{Table: table, Threads: 1}} {
		p, err := b.Profile(0)
		if err != nil {
			t.Fatal(err)
		}
		d, err := b.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		targets, devices = append(targets, partition.Target{Profile: p, Lowerer: b}), append(devices, d)
	}
	c, err := runtime.Conform(t.Context(), table, targets[0], devices[0], devices[1], targets[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Failed {
		t.Error(err)
	}
	t.Logf("%d cases of %d operators", c.Passed, len(c.Operators))
}
