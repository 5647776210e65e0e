//go:build cu

// Check runs the operators' cases on every CUDA device, through gorgonia.org/cu.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/cuda/gorgoniacu"
	"mnnconv/schemas/op"
)

func main() {
	if err := check(gorgoniacu.Backend{}); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func check(b runtime.Backend) error {
	fmt.Printf("unsupported by gorgonia.org/cu:\n  %s\n", strings.Join(gorgoniacu.Lacks, "\n  "))
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
		wrong := slices.DeleteFunc(slices.Clone(c.Failed), func(err error) bool { return errors.Is(err, errors.ErrUnsupported) })
		fmt.Printf("%s (%s): %d cases of %d operators as known, %d unsupported, %d not\n", p.Name, p.Vendor, c.Passed, len(c.Operators), len(c.Failed)-len(wrong), len(wrong))
		if len(wrong) > 0 {
			return errors.Join(wrong...)
		}
	}
}
