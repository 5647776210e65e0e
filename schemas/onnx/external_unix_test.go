//go:build unix

package onnx

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestExternalPipe: reading a named pipe would wait for ever.
func TestExternalPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(dir, "m.onnx"), externalModel(t, []string{"location", "pipe"}))
	for _, o := range []Options{{}, {AllowLinks: []string{dir}}} {
		_, err := Load(path, o)
		refuses(t, err, ErrMalformed, "refused as no regular file: it is a named pipe", path)
	}
}
