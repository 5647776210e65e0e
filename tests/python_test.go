//go:build accept || onnxruntime || perfetto

package tests

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// pythonWith returns a Python that has packages.
func pythonWith(t *testing.T, packages ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "python")
	python := filepath.Join(dir, "bin", "python")
	for _, cmd := range []*exec.Cmd{
		exec.CommandContext(t.Context(), "python3", "-m", "venv", dir),
		exec.CommandContext(t.Context(), python, append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, packages...)...),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	return python
}
