//go:build goopencl

// Check runs the operators' cases on every OpenCL device, through go-opencl.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

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

func check(b runtime.Backend) error {
	fmt.Printf("unsupported by go-opencl:\n  %s\n", strings.Join(goopencl.Lacks, "\n  "))
	table := op.All()
	for i := 0; ; i++ {
		p, err := b.Profile(i)
		if i > 0 && errors.Is(err, runtime.ErrUnavailable) {
			return nil
		}
		if err != nil {
			return err
		}
		c, err := runtime.Conform(context.Background(), table, b, p, &cpu.Backend{Table: table})
		if err != nil {
			return err
		}
		fmt.Printf("%s (%s): %d cases of %d operators as known, %d not\n", p.Name, p.Vendor, c.Passed, len(c.Operators), len(c.Failed))
		if len(c.Failed) > 0 {
			return errors.Join(c.Failed...)
		}
	}
}
