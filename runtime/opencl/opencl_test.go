package opencl_test

import (
	"testing"

	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/gpu"
	"mnnconv/runtime/opencl"
	"mnnconv/schemas/op"
)

// open opens device 0 of a backend.
func open(t testing.TB, b runtime.Backend) (partition.Target, runtime.Device) {
	t.Helper()
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
	return partition.Target{Profile: p, Lowerer: b}, d
}

// TestCases runs the operators' cases.
func TestCases(t *testing.T) {
	table := op.All()
	b := &opencl.Backend{}
	p, err := b.Profile(0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := runtime.Conform(t.Context(), table, b, p, &cpu.Backend{Table: table, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Failed {
		t.Error(err)
	}
	for _, name := range gpu.Operators() {
		if c.Operators[name] == 0 && name != "Conv" { // its cases are none of patches
			t.Errorf("%s is claimed, and no case of it ran", name)
		}
	}
	t.Logf("%d cases of %d operators", c.Passed, len(c.Operators))
}
