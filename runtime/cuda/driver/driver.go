//go:build linux && !nogpu

// Package driver calls NVIDIA's driver library, libcuda.so.1, which it opens at run
// time: no cgo, no headers. Contexts belong to threads of the system, so
// whoever calls a context's methods stands between its Enter and Leave. Every
// status is checked; one after which the context is lost makes all later calls fail
// with the first error.
package driver

import (
	"bytes"
	"fmt"
	"os"
	goruntime "runtime"
	"sync/atomic"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Library is an opened libcuda.
type Library struct {
	symbols
	Path    string
	Version int // of the CUDA that the driver speaks: 12040 is 12.4
}

// Open opens and initialises the driver. The error is for people; where it is a
// call that failed it wraps *Error.
func Open() (*Library, error) {
	handle, path, err := Dlopen(nil, "libcuda.so.1")
	if err != nil {
		return nil, err
	}
	l := &Library{Path: path}
	if err := Bind(handle, &l.symbols); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := l.call("cuInit", l.init, 0); err != nil {
		return nil, fmt.Errorf("%s: %w; %s", path, err, deviceFiles("/dev/nvidia*", os.OpenFile))
	}
	var v int32
	if err := l.call("cuDriverGetVersion", l.driverGetVersion, uintptr(unsafe.Pointer(&v))); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l.Version = int(v)
	return l, nil
}

// call is the only way into the library. What a uintptr among the arguments was
// converted from stays where it is for the call.
//
//go:uintptrescapes
func (l *Library) call(name string, fn uintptr, args ...uintptr) error {
	r, _, _ := purego.SyscallN(fn, args...)
	if s := Status(int32(r)); s != 0 {
		return l.failed(name, s)
	}
	return nil
}

func (l *Library) failed(name string, s Status) *Error {
	e := &Error{Call: name, Status: s, Name: "CUDA_ERROR_UNKNOWN"}
	var text uintptr
	if r, _, _ := purego.SyscallN(l.getErrorName, uintptr(s), uintptr(unsafe.Pointer(&text))); int32(r) == 0 && text != 0 {
		e.Name = Text(text)
	}
	return e
}

// Text copies a C string of at most 256 bytes, such as a library's name of a status.
func Text(at uintptr) string {
	if at == 0 {
		return ""
	}
	p := (*[256]byte)(foreign(at))
	n := 0
	for n < len(p) && p[n] != 0 {
		n++
	}
	return string(p[:n])
}

// foreign returns an address outside Go's heap as a pointer.
func foreign(at uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&at)) }

// Devices returns how many devices there are.
func (l *Library) Devices() (int, error) {
	var n int32
	err := l.call("cuDeviceGetCount", l.deviceGetCount, uintptr(unsafe.Pointer(&n)))
	return int(n), err
}

// Device is what the driver says of a device.
type Device struct {
	Ordinal      int
	Name         string
	UUID         [16]byte
	Memory       int64 // bytes
	Major, Minor int   // compute capability
	Processors   int   // streaming multiprocessors
	SharedMemory int   // bytes a block may ask for
	Exportable   bool  // memory can be exported as a file descriptor
	handle       int32
}

// Attributes of devices, as cuda.h numbers them.
const (
	attrProcessors   = 16
	attrMajor        = 75
	attrMinor        = 76
	attrSharedOptin  = 97
	attrVirtual      = 102
	attrPosixHandles = 103
)

// Device describes a device by its ordinal.
func (l *Library) Device(ordinal int) (Device, error) {
	d := Device{Ordinal: ordinal}
	if err := l.call("cuDeviceGet", l.deviceGet, uintptr(unsafe.Pointer(&d.handle)), uintptr(ordinal)); err != nil {
		return d, err
	}
	name := make([]byte, 256)
	if err := l.call("cuDeviceGetName", l.deviceGetName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), uintptr(d.handle)); err != nil {
		return d, err
	}
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	d.Name = string(name)
	if err := l.call("cuDeviceGetUuid", l.deviceGetUUID, uintptr(unsafe.Pointer(&d.UUID)), uintptr(d.handle)); err != nil {
		return d, err
	}
	if err := l.call("cuDeviceTotalMem", l.deviceTotalMem, uintptr(unsafe.Pointer(&d.Memory)), uintptr(d.handle)); err != nil {
		return d, err
	}
	var virtual, posix int
	for _, a := range []struct {
		which int
		into  *int
	}{
		{attrProcessors, &d.Processors}, {attrMajor, &d.Major}, {attrMinor, &d.Minor}, {attrSharedOptin, &d.SharedMemory},
		{attrVirtual, &virtual}, {attrPosixHandles, &posix},
	} {
		var v int32
		if err := l.call("cuDeviceGetAttribute", l.deviceGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(a.which), uintptr(d.handle)); err != nil {
			return d, err
		}
		*a.into = int(v)
	}
	d.Exportable = virtual != 0 && posix != 0
	return d, nil
}

// Reaches reports whether a device can read and write another's memory.
func (l *Library) Reaches(d, peer Device) (bool, error) {
	var yes int32
	err := l.call("cuDeviceCanAccessPeer", l.canAccessPeer, uintptr(unsafe.Pointer(&yes)), uintptr(d.handle), uintptr(peer.handle))
	return yes != 0, err
}

// Context is a device's primary context.
type Context struct {
	lib    *Library
	Device Device
	handle uintptr
	lost   atomic.Pointer[Error]
}

// Context retains the primary context of a device.
func (l *Library) Context(d Device) (*Context, error) {
	c := &Context{lib: l, Device: d}
	return c, l.call("cuDevicePrimaryCtxRetain", l.primaryCtxRetain, uintptr(unsafe.Pointer(&c.handle)), uintptr(d.handle))
}

// Close releases the context.
func (c *Context) Close() error {
	if c.Lost() {
		return nil
	}
	return c.lib.call("cuDevicePrimaryCtxRelease", c.lib.primaryCtxRelease, uintptr(c.Device.handle))
}

// Enter locks the goroutine to its thread and makes the context the thread's own.
// Unless it fails, the caller leaves again. A lost context can be entered, so that
// what it held can be closed.
func (c *Context) Enter() error {
	goruntime.LockOSThread()
	if c.Lost() {
		return nil
	}
	if err := c.call("cuCtxSetCurrent", c.lib.ctxSetCurrent, c.handle); err != nil {
		goruntime.UnlockOSThread()
		return err
	}
	return nil
}

// Leave ends what Enter began.
func (c *Context) Leave() { goruntime.UnlockOSThread() }

// Lost reports whether a call has lost the context.
func (c *Context) Lost() bool { return c.lost.Load() != nil }

//go:uintptrescapes
func (c *Context) call(name string, fn uintptr, args ...uintptr) error {
	if e := c.lost.Load(); e != nil {
		return e
	}
	r, _, _ := purego.SyscallN(fn, args...)
	if s := Status(int32(r)); s != 0 {
		return c.failed(name, s)
	}
	return nil
}

func (c *Context) failed(name string, s Status) error {
	e := c.lib.failed(name, s)
	if s.Sticky() {
		c.lost.CompareAndSwap(nil, e)
	}
	return e
}
