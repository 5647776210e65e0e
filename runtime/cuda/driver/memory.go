//go:build linux && !nogpu

package driver

import (
	"errors"
	"unsafe"
)

// Info returns the device's free and total memory in bytes.
func (c *Context) Info() (free, total int64, err error) {
	err = c.call("cuMemGetInfo", c.lib.memGetInfo, uintptr(unsafe.Pointer(&free)), uintptr(unsafe.Pointer(&total)))
	return free, total, err
}

// Alloc returns the address of device memory.
func (c *Context) Alloc(size int64) (at uintptr, err error) {
	err = c.call("cuMemAlloc", c.lib.memAlloc, uintptr(unsafe.Pointer(&at)), uintptr(size))
	return at, err
}

// Free releases device memory.
func (c *Context) Free(at uintptr) error { return c.call("cuMemFree", c.lib.memFree, at) }

// AllocHost returns pinned host memory, which is no part of Go's heap.
func (c *Context) AllocHost(size int64) ([]byte, error) {
	const portable = 1 // for every context
	var at uintptr
	if err := c.call("cuMemHostAlloc", c.lib.memHostAlloc, uintptr(unsafe.Pointer(&at)), uintptr(size), portable); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(foreign(at)), size), nil
}

// FreeHost releases what AllocHost returned.
func (c *Context) FreeHost(mem []byte) error {
	return c.call("cuMemFreeHost", c.lib.memFreeHost, uintptr(unsafe.Pointer(unsafe.SliceData(mem))))
}

// Shared is device memory that another interface can import by its file
// descriptor.
type Shared struct {
	At     uintptr // device address
	Size   int64   // bytes, whole pages of the device
	handle uintptr
}

// What cuda.h calls CUmemAllocationProp and CUmemAccessDesc.
type allocation struct {
	kind, handles, place, device int32
	win32                        uintptr
	flags                        [8]byte
}

type access struct{ place, device, flags int32 }

const (
	pinned     = 1 // of kind
	posix      = 1 // of handles
	onDevice   = 1 // of place
	readWrite  = 3 // of flags
	minimum    = 0 // granularity
	noAddress  = 0
	noFlags    = 0
	oneDevice  = 1
	fromOffset = 0
)

// AllocShared returns device memory that Export can export.
func (c *Context) AllocShared(size int64) (*Shared, error) {
	prop := &allocation{kind: pinned, handles: posix, place: onDevice, device: c.Device.handle}
	var page int64
	if err := c.call("cuMemGetAllocationGranularity", c.lib.memGranularity, uintptr(unsafe.Pointer(&page)), uintptr(unsafe.Pointer(prop)), minimum); err != nil {
		return nil, err
	}
	s := &Shared{Size: (max(size, 1) + page - 1) / page * page}
	if err := c.call("cuMemCreate", c.lib.memCreate, uintptr(unsafe.Pointer(&s.handle)), uintptr(s.Size), uintptr(unsafe.Pointer(prop)), noFlags); err != nil {
		return nil, err
	}
	return s, c.mapped(s)
}

// Import returns what a context exported, mapped for this one's device. The descriptor
// stays the caller's.
func (c *Context) Import(fd int, size int64) (*Shared, error) {
	s := &Shared{Size: size}
	if err := c.call("cuMemImportFromShareableHandle", c.lib.memImport, uintptr(unsafe.Pointer(&s.handle)), uintptr(fd), posix); err != nil {
		return nil, err
	}
	return s, c.mapped(s)
}

// mapped gives memory an address on the context's device, or releases it.
func (c *Context) mapped(s *Shared) error {
	if err := c.call("cuMemAddressReserve", c.lib.memAddressReserve, uintptr(unsafe.Pointer(&s.At)), uintptr(s.Size), 0, noAddress, noFlags); err != nil {
		return errors.Join(err, c.call("cuMemRelease", c.lib.memRelease, s.handle))
	}
	if err := c.call("cuMemMap", c.lib.memMap, s.At, uintptr(s.Size), fromOffset, s.handle, noFlags); err != nil {
		return errors.Join(err, c.call("cuMemAddressFree", c.lib.memAddressFree, s.At, uintptr(s.Size)),
			c.call("cuMemRelease", c.lib.memRelease, s.handle))
	}
	may := &access{place: onDevice, device: c.Device.handle, flags: readWrite}
	if err := c.call("cuMemSetAccess", c.lib.memSetAccess, s.At, uintptr(s.Size), uintptr(unsafe.Pointer(may)), oneDevice); err != nil {
		return errors.Join(err, c.FreeShared(s))
	}
	return nil
}

// FreeShared releases what AllocShared or Import returned. Who imported it keeps it
// alive.
func (c *Context) FreeShared(s *Shared) error {
	return errors.Join(c.call("cuMemUnmap", c.lib.memUnmap, s.At, uintptr(s.Size)),
		c.call("cuMemAddressFree", c.lib.memAddressFree, s.At, uintptr(s.Size)),
		c.call("cuMemRelease", c.lib.memRelease, s.handle))
}

// Export returns a file descriptor of the memory, which the caller, or who it is
// given to, closes.
func (c *Context) Export(s *Shared) (fd int, err error) {
	var n int32
	err = c.call("cuMemExportToShareableHandle", c.lib.memExport, uintptr(unsafe.Pointer(&n)), s.handle, posix, noFlags)
	return int(n), err
}
