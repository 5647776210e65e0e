//go:build linux && !nogpu

package standin

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"mnnconv/runtime/cuda/driver"
	"mnnconv/runtime/gpu"
)

// Device is the stand-in within this process.
type Device struct {
	reset uintptr `sym:"standin_reset"`
	calls uintptr `sym:"standin_calls"`
	books uintptr `sym:"standin_books"`
}

// Use has the test find the stand-in instead of a driver, as a device that nothing
// was asked of, with these settings: see src/libcuda.c. The library is built once
// for its source, and kept in the user's cache.
func Use(t testing.TB, settings string) *Device {
	t.Helper()
	if Real() {
		return &Device{}
	}
	dir, err := Folder()
	if err != nil {
		t.Fatalf("the stand-in for CUDA: %v", err)
	}
	t.Setenv(Variable, dir)
	d := &Device{}
	h, err := purego.Dlopen(filepath.Join(dir, "libcuda.so.1"), purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err == nil {
		err = driver.Bind(h, d)
	}
	if err != nil {
		t.Fatalf("the stand-in for CUDA: %v", err)
	}
	d.Reset(settings)
	return d
}

// Real reports whether tests are to use the machine's own driver: MNNCONV_GPU is "real".
// The stand-in does nothing then, and its books are empty.
func Real() bool { return os.Getenv("MNNCONV_GPU") == "real" }

// Reset makes another device of it.
func (d *Device) Reset(settings string) {
	text := append([]byte(settings), 0)
	purego.SyscallN(d.reset, uintptr(unsafe.Pointer(&text[0])))
}

// Calls returns how often a call ("cuMemAlloc") was made; "" counts all.
func (d *Device) Calls(name string) int {
	text := append([]byte(name), 0)
	n, _, _ := purego.SyscallN(d.calls, uintptr(unsafe.Pointer(&text[0])))
	return int(int32(n))
}

// Books are what a device holds and what it was asked to do.
type Books struct{ Bytes, Objects, Kernels, Graphs, Products int64 }

// Books returns them.
func (d *Device) Books() Books {
	b := &Books{}
	if d.books == 0 {
		return *b
	}
	purego.SyscallN(d.books, uintptr(unsafe.Pointer(b)))
	return *b
}

// Folder returns the folder of the libraries, for [Variable] of another process.
func Folder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	key, err := hash()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "mnnconv-standin", key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), "new")
	if err != nil {
		return "", err
	}
	if err := Build(made); err != nil {
		return "", err
	}
	if err := os.Rename(made, dir); err != nil {
		if _, there := os.Stat(dir); there == nil { // another test was faster
			return dir, os.RemoveAll(made)
		}
		return "", err
	}
	return dir, nil
}

// hash covers all that the libraries are made of.
func hash() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(sources, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := sources.ReadFile(path)
		h.Write(b)
		return err
	})
	for _, name := range slices.Sorted(slices.Values(gpu.Modules())) {
		m, e := gpu.ModuleOf(name)
		if e != nil {
			return "", e
		}
		fmt.Fprintln(h, name, m.Source)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:12]), err
}
