package conformance_test

import (
	"flag"
	"os"
	"testing"

	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/opencl"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
	"mnnconv/tests/conformance"
)

var update = flag.Bool("update", false, "write docs/conformance.md")

const threads = 2

func host() runtime.Backend { return &cpu.Backend{Table: op.All(), Threads: threads} }

// device is a simulated device whose commands run late.
func device() runtime.Backend {
	s := &sim.Backend{Table: op.All(), Threads: threads}
	s.Config[0].Seed = 1
	return s
}

func TestCPU(t *testing.T) { conformance.Test(t, host(), nil) }

func TestSim(t *testing.T) { conformance.Test(t, host(), device()) }

// TestOpenCL runs on the first OpenCL device, which is PoCL's where there is no other.
func TestOpenCL(t *testing.T) { conformance.Test(t, host(), &opencl.Backend{}) }

// TestFresh compares docs/conformance.md with what it would be now.
func TestFresh(t *testing.T) {
	var benches []*conformance.Bench
	for _, backend := range []runtime.Backend{nil, device()} {
		b, err := conformance.NewBench(op.All(), host(), backend)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		benches = append(benches, b)
	}
	want, err := conformance.Report(benches...)
	if err != nil {
		t.Fatal(err)
	}
	const file = "../../docs/conformance.md"
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date: make conformance", file)
	}
}
