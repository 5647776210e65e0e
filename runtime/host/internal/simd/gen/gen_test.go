package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestFresh fails when the generator was edited and the assembly was not made anew.
func TestFresh(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go generate ./runtime/host/internal/simd", name)
		}
	}
	// What the generator no longer writes is stale too.
	old, err := filepath.Glob(filepath.Join("..", "*_avx*_amd64.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range old {
		if files[filepath.Base(path)] == nil {
			t.Errorf("%s is of no use: remove it", filepath.Base(path))
		}
	}
}
