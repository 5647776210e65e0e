package opencl

import (
	"fmt"
	"os"
	"unsafe"

	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// externalMemory are the extension's entry points, which a platform tells.
type externalMemory struct{ create, acquire, release uintptr }

const (
	externalExtension = "cl_khr_external_memory_opaque_fd"
	handleOpaqueFD    = 0x2060 // CL_EXTERNAL_MEMORY_HANDLE_OPAQUE_FD_KHR
)

// external finds the entry points.
func (d *driver) external() (*externalMemory, error) {
	if d.imports != nil {
		return d.imports, nil
	}
	if !d.has(externalExtension) {
		return nil, fmt.Errorf("%w: %s has no %s", runtime.ErrUnavailable, d.words(deviceName), externalExtension)
	}
	var x externalMemory
	for name, into := range map[string]*uintptr{
		"clCreateBufferWithProperties": &x.create, "clEnqueueAcquireExternalMemObjectsKHR": &x.acquire, "clEnqueueReleaseExternalMemObjectsKHR": &x.release,
	} {
		if *into = d.api.lookUp(d.platform, name); *into == 0 {
			return nil, fmt.Errorf("%w: %s: %s is missing", runtime.ErrUnavailable, d.words(deviceName), name)
		}
	}
	d.imports = &x
	return d.imports, nil
}

// Import returns a buffer over what another interface exported of the same GPU. The driver
// owns the descriptor that it takes, so it is given one of its own.
func (d *driver) Import(f *os.File, size int64) (gpu.Memory, error) {
	x, err := d.external()
	if err != nil {
		return nil, err
	}
	fd, err := duplicate(int(f.Fd()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
	}
	properties := &[3]uint64{handleOpaqueFD, uint64(fd), 0}
	code := new(int32)
	mem := call(x.create, d.context, uintptr(unsafe.Pointer(properties)), memReadWrite, uintptr(size), 0, uintptr(unsafe.Pointer(code)))
	if *code != 0 || mem == 0 {
		_ = os.NewFile(uintptr(fd), "").Close() // it was not taken
		return nil, status("clCreateBufferWithProperties", *code)
	}
	return &memory{d: d, mem: mem, size: size}, nil
}

// Acquire queues the beginning of the use of imported memory.
func (d *driver) Acquire(m gpu.Memory) error {
	return d.hand(d.imports.acquire, "clEnqueueAcquireExternalMemObjectsKHR", m)
}

// Release queues its end.
func (d *driver) Release(m gpu.Memory) error {
	return d.hand(d.imports.release, "clEnqueueReleaseExternalMemObjectsKHR", m)
}

func (d *driver) hand(entry uintptr, name string, m gpu.Memory) error {
	mem := &m.(*memory).mem
	return status(name, int32(call(entry, d.queue, 1, uintptr(unsafe.Pointer(mem)), 0, 0, 0)))
}
