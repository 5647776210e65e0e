package main

import (
	"strings"
	"testing"

	"mnnconv/partition"
)

// TestSharedDevices: a GPU that two backends reach is said to be one, by its UUID.
func TestSharedDevices(t *testing.T) {
	var list []device
	for _, p := range []partition.Profile{{Name: "cpu"}, {Name: "cuda:0", UUID: "aa"}, {Name: "cuda:1", UUID: "bb"}, {Name: "opencl:0", UUID: "bb"}, {Name: "sim:0"}, {Name: "opencl:1", UUID: "cc"}} {
		list = append(list, device{Profile: p})
	}
	var b strings.Builder
	if err := writeDevices(&b, list, nil); err != nil {
		t.Fatal(err)
	}
	const want = "cuda:1 and opencl:0 are one device: they share its memory\n"
	if got := b.String(); !strings.Contains(got, want) || strings.Count(got, "one device") != 1 {
		t.Errorf("%s\nwant %s", got, want)
	}
}
