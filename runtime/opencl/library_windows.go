package opencl

import "syscall"

// candidates are the libraries that are tried where none are named.
var candidates = []string{"OpenCL.dll"}

func openLibrary(path string) (uintptr, error) {
	h, err := syscall.LoadLibrary(path)
	return uintptr(h), err
}

func symbol(library uintptr, name string) (uintptr, error) {
	return syscall.GetProcAddress(syscall.Handle(library), name)
}
