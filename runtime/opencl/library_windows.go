package opencl

import (
	"errors"
	"syscall"
)

// candidates are the libraries that are tried where none are named.
var candidates = []string{"OpenCL.dll"}

func openLibrary(path string) (uintptr, error) {
	h, err := syscall.LoadLibrary(path)
	return uintptr(h), err
}

func symbol(library uintptr, name string) (uintptr, error) {
	return syscall.GetProcAddress(syscall.Handle(library), name)
}

// duplicate is for descriptors of POSIX.
func duplicate(int) (int, error) { return 0, errors.New("there are no file descriptors here") }
