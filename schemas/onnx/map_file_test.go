package onnx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestMapFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "table.bin")
	if err := os.WriteFile(path, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, unmap, err := MapFile(path)
	if err != nil || string(b) != "weights" {
		t.Fatalf("%q, %v", b, err)
	}
	if err := unmap(); err != nil {
		t.Error(err)
	}
	if _, _, err := MapFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, _, err := MapFile(dir); !errors.Is(err, ErrMalformed) {
		t.Errorf("a folder: %v", err)
	}
}
