//go:build unix

package onnxruntime

import "github.com/ebitengine/purego"

// usual are the names that are tried where no library is named.
var usual = []string{"libonnxruntime.so", "libonnxruntime.so.1", "libonnxruntime.dylib", "/usr/local/lib/libonnxruntime.so", "/opt/homebrew/lib/libonnxruntime.dylib"}

func openLibrary(path string) (uintptr, error) {
	return purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func symbol(library uintptr, name string) (uintptr, error) { return purego.Dlsym(library, name) }
