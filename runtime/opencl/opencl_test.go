package opencl_test

import (
	"bytes"
	"errors"
	"testing"

	"mnnconv/graph"
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

// TestAdopt transfers from and to memory that another device pinned.
func TestAdopt(t *testing.T) {
	_, owner := open(t, &opencl.Backend{})
	_, d := open(t, &opencl.Backend{})
	const size = 1<<20 + 12
	own, err := owner.Alloc(size, runtime.PinnedHost)
	if err != nil {
		t.Fatal(err)
	}
	adopted, err := d.(runtime.Adopter).Adopt(own.(runtime.HostBuffer))
	if err != nil {
		t.Fatal(err)
	}
	there, err := d.Alloc(size, runtime.DeviceMemory)
	if err != nil {
		t.Fatal(err)
	}
	b, err := own.(runtime.HostBuffer).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	mine := runtime.View{Buffer: adopted, Size: size}
	for i := range byte(3) {
		for k := range b {
			b[k] = byte(k*131) + i
		}
		want := bytes.Clone(b)
		transfer(t, d, runtime.View{Buffer: there, Size: size}, mine)
		clear(b)
		transfer(t, d, mine, runtime.View{Buffer: there, Size: size})
		if !bytes.Equal(b, want) {
			t.Errorf("transfer %d brings other bytes", i)
		}
	}
	if _, err := owner.(runtime.Adopter).Adopt(heap(b)); !errors.Is(err, runtime.ErrUnavailable) {
		t.Errorf("memory of Go's is adopted: %v", err)
	}
	for _, buffer := range []runtime.Buffer{there, adopted, own} {
		if err := buffer.Close(); err != nil {
			t.Error(err)
		}
	}
}

// heap is memory that nobody pinned.
type heap []byte

func (h heap) Space() graph.Space     { return graph.Host }
func (h heap) Size() int64            { return int64(len(h)) }
func (h heap) Bytes() ([]byte, error) { return h, nil }
func (h heap) Close() error           { return nil }

func transfer(t *testing.T, d runtime.Device, to, from runtime.View) {
	t.Helper()
	e, err := d.Transfer(to, from, nil)
	if err == nil {
		err = e.Wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}
