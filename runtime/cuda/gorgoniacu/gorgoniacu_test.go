//go:build cu

package gorgoniacu

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/schemas/op"
)

// TestCases runs the operators' cases: what the binding cannot do is refused by name,
// all else is as known.
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
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "gorgonia.org/cu passes 8") {
			t.Error(err)
		}
	}
	if c.Passed < 300 {
		t.Errorf("%d cases", c.Passed)
	}
}

// TestBuildFails wants the log of PTX that does not compile.
func TestBuildFails(t *testing.T) {
	dev, err := Backend{}.device(0)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDriver(dev)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Begin(); err != nil {
		t.Fatal(err)
	}
	err = d.load("broken", []byte(".version 8.4\n.target sm_80\ndoes_not_compile\n"))
	if !errors.Is(err, runtime.ErrExecution) || !strings.Contains(err.Error(), "parsing error near 'does_not_compile'") {
		t.Errorf("got %v", err)
	}
	d.End()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestNoGPU wants to know when the binding no longer ends the process by itself.
func TestNoGPU(t *testing.T) {
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^$")
	c.Env = append(os.Environ(), "STANDIN=devices=0")
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "NoDevice") {
		t.Errorf("%v: %s", err, out)
	}
}
