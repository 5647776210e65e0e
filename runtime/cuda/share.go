//go:build linux && !nogpu

package cuda

import (
	"fmt"
	"os"

	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// AllocShared returns device memory that can be exported, if the device allows it.
func (d *device) AllocShared(size int64) (gpu.Memory, error) {
	if !d.ctx.Device.Exportable {
		return d.Alloc(size)
	}
	s, err := d.ctx.AllocShared(size)
	if err != nil {
		return nil, d.tooLarge(size, err)
	}
	return &memory{d, s.At, size, s}, nil
}

// Export returns memory as a file descriptor.
func (d *device) Export(m gpu.Memory) (*os.File, int64, error) {
	s := m.(*memory).shared
	if s == nil {
		return nil, 0, fmt.Errorf("%w: %s does not export memory", runtime.ErrUnavailable, d.name)
	}
	fd, err := d.ctx.Export(s)
	if err != nil {
		return nil, 0, d.sentinel(err)
	}
	return os.NewFile(uintptr(fd), "memory of "+d.name), s.Size, nil
}

// Import maps what another device exported.
func (d *device) Import(f *os.File, size int64) (gpu.Memory, error) {
	s, err := d.ctx.Import(int(f.Fd()), size)
	if err != nil {
		return nil, d.sentinel(err)
	}
	return &memory{d, s.At, size, s}, nil
}

// Acquire does nothing: an address on the device is all that it needs.
func (d *device) Acquire(gpu.Memory) error { return nil }

// Release does nothing.
func (d *device) Release(gpu.Memory) error { return nil }
