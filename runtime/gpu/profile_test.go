package gpu

import (
	"slices"
	"strings"
	"testing"

	"mnnconv/partition"
)

// TestShippedProfiles wants the profiles that come with the program to name what there
// are kernels for.
func TestShippedProfiles(t *testing.T) {
	seen := 0
	for _, machine := range partition.ShippedNames() {
		profiles, _ := partition.Shipped(machine)
		for _, p := range profiles {
			if backend, _, _ := strings.Cut(p.Name, ":"); backend != "opencl" && backend != "cuda" {
				continue
			}
			seen++
			if !slices.Equal(p.Operators, Operators()) || !slices.Equal(p.DTypes, DTypes()) {
				t.Errorf("%s of %s names other operators or types than there are kernels for", p.Name, machine)
			}
		}
	}
	if seen < 3 {
		t.Errorf("%d profiles of GPUs", seen)
	}
}
