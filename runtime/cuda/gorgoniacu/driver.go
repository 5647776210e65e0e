//go:build cu

package gorgoniacu

import (
	"bytes"
	"errors"
	"fmt"
	goruntime "runtime"
	"strings"
	"time"
	"unsafe"

	"gorgonia.org/cu"

	"mnnconv/runtime"
	"mnnconv/runtime/cuda"
	"mnnconv/runtime/gpu"
)

// driver is a context with one queue.
type driver struct {
	device     cu.Device
	context    cu.CUContext
	queue      cu.Stream
	processors int
	modules    map[string]cu.Module
}

func newDriver(dev cu.Device) (_ *driver, err error) {
	d := &driver{device: dev, modules: map[string]cu.Module{}}
	if d.processors, err = dev.Attribute(cu.MultiprocessorCount); err != nil {
		return nil, sentinel(err)
	}
	if d.context, err = dev.RetainPrimaryCtx(); err != nil {
		return nil, sentinel(err)
	}
	if err := d.Begin(); err != nil {
		return nil, errors.Join(err, sentinel(dev.ReleasePrimaryCtx()))
	}
	defer d.End()
	if d.queue, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return nil, errors.Join(sentinel(err), sentinel(dev.ReleasePrimaryCtx()))
	}
	return d, nil
}

// sentinel says which of the runtime's errors one of the binding is.
func sentinel(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cu.OutOfMemory):
		return fmt.Errorf("%w: %w", runtime.ErrMemory, err)
	}
	return fmt.Errorf("%w: %w", runtime.ErrExecution, err)
}

func (d *driver) Begin() error { return sentinel(d.context.Lock()) }

// End leaves the thread. The binding's Unlock would wait for the device.
func (d *driver) End() { goruntime.UnlockOSThread() }

func (d *driver) Limits() gpu.Limits {
	return gpu.Limits{Group: 1024, Local: 48 << 10, Units: d.processors, Tensor: true, Shuffle: true}
}

func (d *driver) Free() (int64, error) {
	free, _, err := cu.MemInfo()
	return free, sentinel(err)
}

type memory struct {
	at   cu.DevicePtr
	size int64
}

func (m *memory) Size() int64  { return m.size }
func (m *memory) Close() error { return sentinel(cu.MemFree(m.at)) }

func address(m gpu.Memory, at int64) cu.DevicePtr { return m.(*memory).at + cu.DevicePtr(at) }

func (d *driver) Alloc(size int64) (gpu.Memory, error) {
	at, err := cu.MemAlloc(size)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of device memory: %w", size, sentinel(err))
	}
	return &memory{at, size}, nil
}

// pinned is memory of Go, which copies that wait may use.
type pinned []byte

func (p pinned) Size() int64   { return int64(len(p)) }
func (p pinned) Bytes() []byte { return p }
func (p pinned) Close() error  { return nil }

func (d *driver) Pin(size int64) (gpu.Pinned, error) { return make(pinned, size), nil }

func (d *driver) Zero(dst gpu.Memory, at, size int64) error {
	return sentinel(cu.MemsetD8Async(address(dst, at), 0, size, d.queue))
}

func (d *driver) Upload(dst gpu.Memory, at int64, src gpu.Pinned, from, size int64) error {
	if err := d.Sync(); err != nil {
		return err
	}
	return sentinel(cu.MemcpyHtoD(address(dst, at), unsafe.Pointer(&src.Bytes()[from]), size))
}

func (d *driver) Download(dst gpu.Pinned, at int64, src gpu.Memory, from, size int64) error {
	if err := d.Sync(); err != nil {
		return err
	}
	return sentinel(cu.MemcpyDtoH(unsafe.Pointer(&dst.Bytes()[at]), address(src, from), size))
}

func (d *driver) Copy(dst gpu.Memory, at int64, src gpu.Memory, from, size int64) error {
	return sentinel(cu.MemcpyDtoDAsync(address(dst, at), address(src, from), size, d.queue))
}

// Load has the driver compile a module's PTX.
func (d *driver) Load(m gpu.Module) error {
	ptx, err := cuda.PTX(m)
	if err != nil {
		return err
	}
	return d.load(m.Name, ptx)
}

func (d *driver) load(name string, ptx []byte) error {
	log := make([]byte, 8192)
	module, err := cu.LoadDataEx(string(ptx), &cu.JITErrorLogBuffer{Buffer: log})
	if err != nil {
		text, _, _ := bytes.Cut(log, []byte{0})
		return fmt.Errorf("%w: %s", sentinel(err), strings.Join(strings.Fields(string(text)), " "))
	}
	d.modules[name] = module
	return nil
}

func (d *driver) Flush() error { return nil }
func (d *driver) Sync() error  { return sentinel(d.queue.Synchronize()) }

func (d *driver) Close() error {
	if err := d.Begin(); err != nil {
		return err
	}
	defer d.End()
	var errs []error
	for _, m := range d.modules {
		errs = append(errs, sentinel(m.Unload()))
	}
	return errors.Join(append(errs, sentinel(d.queue.Destroy()), sentinel(d.device.ReleasePrimaryCtx()))...)
}

// mark is an event of the queue.
type mark struct {
	d     *driver
	event cu.Event
}

func (d *driver) Mark() (gpu.Mark, error) {
	e, err := cu.MakeEvent(cu.DefaultEvent)
	if err != nil {
		return nil, sentinel(err)
	}
	m := &mark{d, e}
	if err := e.Record(d.queue); err != nil {
		return nil, errors.Join(sentinel(err), m.Close())
	}
	return m, nil
}

// in calls f with the context.
func (m *mark) in(f func() error) error {
	if err := m.d.Begin(); err != nil {
		return err
	}
	defer m.d.End()
	return f()
}

func (m *mark) Wait() error { return sentinel(m.in(m.event.Synchronize)) }

func (m *mark) Done() (bool, error) {
	err := m.in(m.event.Query)
	if errors.Is(err, cu.NotReady) {
		return false, nil
	}
	return err == nil, sentinel(err)
}

// Time is not told: the driver tells times between events only.
func (m *mark) Time() (time.Time, bool) { return time.Time{}, false }

func (m *mark) Close() error {
	return sentinel(m.in(func() error { return cu.DestroyEvent(&m.event) }))
}
