package onnxruntime

import "syscall"

// usual are the names that are tried where no library is named.
var usual = []string{"onnxruntime.dll"}

func openLibrary(path string) (uintptr, error) {
	h, err := syscall.LoadLibrary(path)
	return uintptr(h), err
}

func symbol(library uintptr, name string) (uintptr, error) {
	return syscall.GetProcAddress(syscall.Handle(library), name)
}
