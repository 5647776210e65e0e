//go:build linux

// Package faulty builds a loader of OpenCL that lets calls fail, before the machine's
// own. It needs a C compiler. Tests use it.
package faulty

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed src/faulty.c
var source []byte

// Build writes libOpenCL.so.1 to a folder, for LD_LIBRARY_PATH of another process.
func Build(dir string) error {
	var found []string
	for _, pattern := range []string{"/usr/lib/*/libOpenCL.so.1", "/usr/lib64/libOpenCL.so.1", "/usr/lib/libOpenCL.so.1"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		found = append(found, files...)
	}
	if len(found) == 0 {
		return errors.New("no libOpenCL.so.1 to stand before")
	}
	c := filepath.Join(dir, "faulty.c")
	if err := os.WriteFile(c, source, 0o600); err != nil {
		return err
	}
	cmd := exec.Command("cc", "-shared", "-fPIC", "-O1", "-DREAL=\""+found[0]+"\"", "-o", filepath.Join(dir, "libOpenCL.so.1"), c, "-ldl")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	return nil
}
