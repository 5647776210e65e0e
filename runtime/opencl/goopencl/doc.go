// Package goopencl is a second OpenCL backend, over github.com/jgillich/go-opencl: a
// second opinion on package opencl, and no part of the product, because the binding
// needs cgo, OpenCL's headers and a loader to link with. Tag goopencl builds it.
package goopencl

// Lacks names what the binding has no calls for, and what is done instead.
var Lacks = []string{
	"sub-buffers: arguments within an allocation are copied out before each launch and back after it, and launches whose arguments overlap are refused",
	"program binaries: kernels are built from source in every process",
	"external memory: no direct copies",
	"device UUIDs: devices are known by their number alone",
	"clFlush: it calls clFinish instead, so every mark waits",
	"event states: a mark that has come is known by its time",
}
