package gpu

import (
	"errors"
	"fmt"
	"os"

	"mnnconv/graph"
	"mnnconv/runtime"
)

// Exporter is a driver whose memory another driver of the same GPU can import.
type Exporter interface {
	// AllocShared is Alloc for memory that can be exported.
	AllocShared(size int64) (Memory, error)
	// Export returns the descriptor of memory of AllocShared, and the bytes it stands for.
	Export(Memory) (f *os.File, size int64, err error)
}

// Importer is a driver that copies between its own memory and what it imported.
type Importer interface {
	// Import returns memory that lies elsewhere. The file stays the caller's.
	Import(f *os.File, size int64) (Memory, error)
	// Acquire and Release queue the beginning and the end of its use.
	Acquire(Memory) error
	Release(Memory) error
}

// Adopter is a driver that copies to and from host memory that another driver pinned as
// it does with its own.
type Adopter interface {
	// Adopt returns the same bytes, which are the other's and outlive what is returned.
	Adopt([]byte) (Pinned, error)
}

// imported stands for another device's buffer: its space is the other's, its memory is
// this driver's name for it.
type imported struct{ *buffer }

// Export exports a buffer of this device.
func (d *Device) Export(b runtime.Buffer) (e runtime.Exported, err error) {
	own, ok := b.(*buffer)
	x, can := d.driver.(Exporter)
	if !ok || !can || own.memory == nil {
		return e, fmt.Errorf("%w: %s exports no such memory", runtime.ErrUnavailable, d.space)
	}
	if err := own.open(d); err != nil {
		return e, err
	}
	return e, d.do(func() error {
		e.File, e.Bytes, err = x.Export(own.memory)
		return err
	})
}

// Import imports what another device exported.
func (d *Device) Import(e runtime.Exported, original runtime.Buffer) (runtime.Buffer, error) {
	x, can := d.driver.(Importer)
	if !can {
		return nil, errors.Join(fmt.Errorf("%w: %s imports no memory", runtime.ErrUnavailable, d.space), e.File.Close())
	}
	b := &buffer{d: d, space: original.Space(), size: original.Size()}
	err := d.do(func() (err error) {
		b.memory, err = x.Import(e.File, e.Bytes)
		return err
	})
	if err = errors.Join(err, e.File.Close()); err != nil {
		return nil, err
	}
	return imported{b}, nil
}

// cross queues a copy between this device's memory and what it imported.
func (d *Device) cross(dst, src runtime.View) error {
	var far Memory
	side := func(v runtime.View) (Memory, error) {
		if b, ok := v.Buffer.(imported); ok && far == nil {
			far = b.memory
			return far, errors.Join(v.Check(b.space, "transfer"), b.open(d))
		}
		if _, ok := v.Buffer.(*buffer); !ok {
			return nil, fmt.Errorf("%w: a transfer of imported memory on %s has its other side elsewhere", runtime.ErrAddress, d.space)
		}
		return v.Buffer.(*buffer).memory, d.check(v)
	}
	to, err := side(dst)
	if err != nil {
		return err
	}
	from, err := side(src)
	if err != nil {
		return err
	}
	x := d.driver.(Importer)
	if err := x.Acquire(far); err != nil {
		return err
	}
	if err := d.driver.Copy(to, dst.Offset, from, src.Offset, src.Size); err != nil {
		return err
	}
	return x.Release(far)
}

// Adopt makes memory that another driver pinned this one's too.
func (d *Device) Adopt(h runtime.HostBuffer) (runtime.HostBuffer, error) {
	x, can := d.driver.(Adopter)
	if _, ok := h.(pinned); !can || !ok {
		return nil, fmt.Errorf("%w: %s copies from no memory that others pinned", runtime.ErrUnavailable, d.space)
	}
	bytes, err := h.Bytes()
	if err != nil {
		return nil, err
	}
	b := &buffer{d: d, space: graph.Host, size: h.Size()}
	return pinned{b}, d.do(func() (err error) {
		if len(bytes) > 0 {
			b.memory, err = x.Adopt(bytes)
		}
		return err
	})
}
