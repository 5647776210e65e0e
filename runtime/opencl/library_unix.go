//go:build unix

package opencl

import (
	"syscall"

	"github.com/ebitengine/purego"
)

// candidates are the libraries that are tried where none are named: loaders, then
// vendors' own.
var candidates = []string{
	"libOpenCL.so.1", "libOpenCL.so", "/System/Library/Frameworks/OpenCL.framework/OpenCL",
	"libnvidia-opencl.so.1", "/usr/local/nvidia/lib64/libnvidia-opencl.so.1", "/usr/lib/x86_64-linux-gnu/libnvidia-opencl.so.1", "/usr/lib64/libnvidia-opencl.so.1",
	"libamdocl64.so", "libigdrcl.so", "libpocl.so.2",
}

func openLibrary(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func symbol(library uintptr, name string) (uintptr, error) { return purego.Dlsym(library, name) }

// duplicate returns another descriptor of a file.
func duplicate(fd int) (int, error) { return syscall.Dup(fd) }
