//go:build linux && !nogpu

package cuda

import (
	"fmt"

	"mnnconv/runtime/cuda/driver"
	"mnnconv/runtime/gpu"
)

// memory is memory of the device.
type memory struct {
	d      *device
	at     uintptr
	size   int64
	shared *driver.Shared // nil: it cannot be exported
}

func (m *memory) Size() int64 { return m.size }

// address returns where memory of this backend lies on the device.
func address(m gpu.Memory) uintptr { return m.(*memory).at }

// Alloc returns device memory.
func (d *device) Alloc(size int64) (gpu.Memory, error) {
	at, err := d.ctx.Alloc(size)
	if err != nil {
		return nil, d.tooLarge(size, err)
	}
	return &memory{d: d, at: at, size: size}, nil
}

func (d *device) tooLarge(size int64, err error) error {
	err = d.sentinel(err)
	if free, total, e := d.ctx.Info(); e == nil {
		return fmt.Errorf("%d bytes, of %d that are free of %d: %w", size, free, total, err)
	}
	return fmt.Errorf("%d bytes: %w", size, err)
}

// Close releases the memory.
func (m *memory) Close() error {
	switch {
	case m.d.ctx.Lost():
		return nil
	case m.shared != nil:
		return m.d.sentinel(m.d.ctx.FreeShared(m.shared))
	}
	return m.d.sentinel(m.d.ctx.Free(m.at))
}

// pinned is host memory that the driver allocated.
type pinned struct {
	d   *device
	mem []byte
}

func (p *pinned) Size() int64   { return int64(len(p.mem)) }
func (p *pinned) Bytes() []byte { return p.mem }

// Pin returns pinned host memory.
func (d *device) Pin(size int64) (gpu.Pinned, error) {
	mem, err := d.ctx.AllocHost(size)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of pinned memory: %w", size, d.sentinel(err))
	}
	return &pinned{d, mem}, nil
}

// Close releases the memory.
func (p *pinned) Close() error {
	if p.d.ctx.Lost() {
		return nil
	}
	return p.d.sentinel(p.d.ctx.FreeHost(p.mem))
}
