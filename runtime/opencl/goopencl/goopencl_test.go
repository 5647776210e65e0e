//go:build goopencl

package goopencl

import (
	"errors"
	"strings"
	"testing"

	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/gpu"
	"mnnconv/schemas/op"
)

// TestCases runs the operators' cases.
func TestCases(t *testing.T) {
	table := op.All()
	p, err := Backend{}.Profile(0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := runtime.Conform(t.Context(), table, Backend{}, p, &cpu.Backend{Table: table, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Failed {
		t.Error(err)
	}
	if c.Passed < 300 {
		t.Errorf("%d cases", c.Passed)
	}
}

// driverOf opens a driver without a device round it.
func driverOf(t *testing.T) *driver {
	t.Helper()
	dev, err := Backend{}.device(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDriver(dev)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestOverlap wants what the binding cannot do to be refused by name.
func TestOverlap(t *testing.T) {
	d := driverOf(t)
	m, err := gpu.ModuleOf("elementwise")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Load(m); err != nil {
		t.Fatal(err)
	}
	mem, err := d.Alloc(1024)
	if err != nil {
		t.Fatal(err)
	}
	arg := func(offset int64) gpu.Arg { return gpu.Arg{Memory: mem, Offset: offset, Bytes: 512} }
	_, err = d.Record([]gpu.Command{{Module: "elementwise", Kernel: "unary", Groups: [3]int{1, 1, 1}, Size: 256, Node: "n",
		Args: []gpu.Arg{arg(0), {Value: make([]byte, 4)}, arg(256)}}})
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "n: kernel elementwise.unary: argument 2") || !strings.Contains(err.Error(), "go-opencl has no sub-buffers") {
		t.Errorf("got %v", err)
	}
	if err := mem.Close(); err != nil {
		t.Error(err)
	}
}

// TestBuildFails wants the log of a module that does not build.
func TestBuildFails(t *testing.T) {
	err := driverOf(t).Load(gpu.Module{Name: "broken", Source: "this is no kernel;"})
	if !errors.Is(err, runtime.ErrExecution) || !strings.Contains(err.Error(), "unknown type name") {
		t.Errorf("got %v", err)
	}
}

// TestAbsent wants a device that is not there to be unavailable.
func TestAbsent(t *testing.T) {
	if _, err := (Backend{}).Profile(63); !errors.Is(err, runtime.ErrUnavailable) || !strings.Contains(err.Error(), "opencl:63") {
		t.Errorf("got %v", err)
	}
}
