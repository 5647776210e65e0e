//go:build linux && !nogpu

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"mnnconv/runtime/cuda/standin"
	"mnnconv/runtime/opencl/faulty"
)

// TestGPUFaults runs testdata/gpu: what goes wrong with drivers and devices. CUDA is
// the stand-in, which fails by STANDIN; OpenCL is PoCL behind a loader that fails by
// FAULTY.
func TestGPUFaults(t *testing.T) {
	cuda, err := standin.Folder()
	if err != nil {
		t.Fatal(err)
	}
	loader := t.TempDir()
	if err := faulty.Build(loader); err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	src, err := filepath.Abs("../../models/tinyvl")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/gpu",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("SRC", src)
			e.Setenv("CUDA", cuda)
			e.Setenv("MNNCONV_CUDA_LIBRARIES", cuda)
			e.Setenv("LD_LIBRARY_PATH", loader)
			e.Setenv("POCL_CACHE_DIR", filepath.Join(cache, "pocl", "kcache")) // PoCL's own, which is not what is tested
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			if err := os.WriteFile(filepath.Join(e.WorkDir, "neg.onnx"), onnxFile(entry(1, node("Neg", "x", "y"))), 0o600); err != nil {
				return err
			}
			return fixtures(e.WorkDir, src)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exitsWith},
	})
}
