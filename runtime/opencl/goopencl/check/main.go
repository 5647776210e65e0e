//go:build goopencl

// Check runs the operators' cases on every OpenCL device, through go-opencl.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/opencl/goopencl"
	"mnnconv/schemas/op"
)

func main() {
	if err := check(goopencl.Backend{}); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func check(b runtime.Backend) (err error) {
	fmt.Printf("unsupported by go-opencl:\n  %s\n", strings.Join(goopencl.Lacks, "\n  "))
	table := op.All()
	on := &cpu.Backend{Table: table}
	here, err := on.Profile(0)
	if err != nil {
		return err
	}
	host, err := on.Open(here)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	for i := 0; ; i++ {
		p, err := b.Profile(i)
		if i > 0 && errors.Is(err, runtime.ErrUnavailable) {
			return nil
		}
		if err != nil {
			return err
		}
		d, err := b.Open(p)
		if err != nil {
			return err
		}
		c, err := runtime.Conform(context.Background(), table, partition.Target{Profile: p, Lowerer: b}, d, host, partition.Target{Profile: here, Lowerer: on})
		if err := errors.Join(err, d.Close()); err != nil {
			return err
		}
		fmt.Printf("%s (%s): %d cases of %d operators as known, %d not\n", p.Name, p.Vendor, c.Passed, len(c.Operators), len(c.Failed))
		if len(c.Failed) > 0 {
			return errors.Join(c.Failed...)
		}
	}
}
