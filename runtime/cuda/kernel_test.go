//go:build linux && !nogpu

package cuda_test

import (
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/cuda/standin"
	"mnnconv/runtime/gpu"
	"mnnconv/runtime/gpu/gputest"
	"mnnconv/schemas/op"
)

// TestKernels tries all kernels.
func TestKernels(t *testing.T) {
	standin.Use(t, "")
	t.Setenv("MNNCONV_CUBLASLT", "off")
	gputest.Kernels(t, &cuda.Backend{Wrap: gputest.Guard}, &cpu.Backend{Table: op.All(), Threads: 1})
}

// TestAhead starts runs before those in front of them are looked at: one launch each, once
// both that take turns have been recorded.
func TestAhead(t *testing.T) {
	standin.Use(t, "")
	var books interface{ Books() cuda.Books }
	b := &cuda.Backend{Wrap: func(d gpu.Driver) gpu.Driver {
		books = d.(interface{ Books() cuda.Books })
		return d
	}}
	var before cuda.Books
	gputest.Ahead(t, b, &cpu.Backend{Table: op.All(), Threads: 1}, 9, func(run int) {
		now := books.Books()
		if graphs, kernels := now.Graphs-before.Graphs, now.Kernels-before.Kernels; run > 3 && (graphs != 1 || kernels != 0) {
			t.Errorf("run %d: %d graphs and %d kernels were launched", run, graphs, kernels)
		}
		before = now
	})
}

// TestLibrary tries products with NVIDIA's library, and wants it to have been found.
func TestLibrary(t *testing.T) {
	dev := standin.Use(t, "")
	b := &cuda.Backend{Wrap: gputest.Guard}
	p, err := b.Profile(0)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(p.Products, "cuBLASLt ") {
		t.Fatal(p.Products)
	}
	gputest.Products(t, b, &cpu.Backend{Table: op.All(), Threads: 1})
	if books := dev.Books(); !standin.Real() && books.Products == 0 {
		t.Errorf("it was not used: %+v", books)
	}
}

// TestLibraryRoundsOnce wants products that the library rounds twice to be left to our own
// kernels.
func TestLibraryRoundsOnce(t *testing.T) {
	standin.Use(t, "")
	var driver gpu.Driver
	b := &cuda.Backend{Wrap: func(d gpu.Driver) gpu.Driver { driver = d; return d }}
	p, err := b.Profile(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := driver.Begin(); err != nil {
		t.Fatal(err)
	}
	defer driver.End()
	for _, c := range []struct {
		k             int
		biased, added bool
		ok            bool
	}{{340, true, true, false}, {340, true, false, true}, {340, false, true, true}, {344, true, true, true}} {
		product := gpu.Product{M: 96, N: 128, K: c.k, DType: graph.Float16, Biased: c.biased, Added: c.added, Alpha: 1}
		if _, ok, err := driver.(gpu.Multiplier).Multiplies(product); ok != c.ok || err != nil {
			t.Errorf("%+v: %t (%v), want %t", product, ok, err, c.ok)
		}
	}
}

// TestNoLibrary wants to be told what was looked for.
func TestNoLibrary(t *testing.T) {
	standin.Use(t, "")
	t.Setenv("MNNCONV_CUBLASLT", "off")
	p, err := (&cuda.Backend{}).Profile(0)
	if err != nil || p.Products != "its own kernels: MNNCONV_CUBLASLT is off" {
		t.Errorf("%q, %v", p.Products, err)
	}
}

// TestCases runs the operators' cases.
func TestCases(t *testing.T) {
	standin.Use(t, "")
	table := op.All()
	b := &cuda.Backend{}
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
	t.Logf("%d cases of %d operators", c.Passed, len(c.Operators))
}
