//go:build goopencl

package goopencl

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/jgillich/go-opencl/cl"

	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// driver is a context with one in-order queue.
type driver struct {
	device   *cl.Device
	context  *cl.Context
	queue    *cl.CommandQueue
	programs map[string]*cl.Program
}

func newDriver(dev *cl.Device) (*driver, error) {
	d := &driver{device: dev, programs: map[string]*cl.Program{}}
	var err error
	if d.context, err = cl.CreateContext([]*cl.Device{dev}); err != nil {
		return nil, sentinel(err)
	}
	if d.queue, err = d.context.CreateCommandQueue(dev, cl.CommandQueueProfilingEnable); err != nil {
		d.context.Release()
		return nil, sentinel(err)
	}
	return d, nil
}

// sentinel says which of the runtime's errors one of the binding is.
func sentinel(err error) error {
	if err == nil {
		return nil
	}
	for _, e := range []error{cl.ErrMemObjectAllocationFailure, cl.ErrOutOfHostMemory, cl.ErrInvalidBufferSize} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", runtime.ErrMemory, err)
		}
	}
	return fmt.Errorf("%w: %w", runtime.ErrExecution, err)
}

// queued releases the event of a command, which nobody waits for.
func queued(e *cl.Event, err error) error {
	if err == nil {
		e.Release()
	}
	return sentinel(err)
}

func (d *driver) Begin() error { return nil }
func (d *driver) End()         {}

// Limits leave the matrix instructions and shuffles out, which need NVIDIA's own
// information about a device.
func (d *driver) Limits() gpu.Limits {
	return gpu.Limits{Group: d.device.MaxWorkGroupSize(), Local: d.device.LocalMemSize(), Units: d.device.MaxComputeUnits()}
}

// Free is not told by OpenCL.
func (d *driver) Free() (int64, error) { return 0, nil }

// memory is a buffer with copies of those of its stretches that kernels were given.
type memory struct {
	mem   *cl.MemObject
	size  int64
	parts map[part]*cl.MemObject
}

type part struct{ offset, size int64 }

func (m *memory) Size() int64 { return m.size }

func (m *memory) Close() error {
	for _, p := range m.parts {
		p.Release()
	}
	m.parts = nil
	m.mem.Release()
	return nil
}

func of(m gpu.Memory) *memory { return m.(*memory) }

func (d *driver) Alloc(size int64) (gpu.Memory, error) {
	m, err := d.context.CreateEmptyBuffer(cl.MemReadWrite, int(size))
	if err != nil {
		return nil, fmt.Errorf("%d bytes of device memory: %w", size, sentinel(err))
	}
	return &memory{mem: m, size: size}, nil
}

// pinned is memory of the driver that stays mapped.
type pinned struct {
	memory
	d  *driver
	at *cl.MappedMemObject
}

func (p *pinned) Bytes() []byte { return p.at.ByteSlice() }

func (p *pinned) Close() error {
	return errors.Join(queued(p.d.queue.EnqueueUnmapMemObject(p.mem, p.at, nil)), p.d.Sync(), p.memory.Close())
}

func (d *driver) Pin(size int64) (gpu.Pinned, error) {
	m, err := d.context.CreateEmptyBuffer(cl.MemReadWrite|cl.MemAllocHostPtr, int(size))
	if err != nil {
		return nil, fmt.Errorf("%d bytes of pinned memory: %w", size, sentinel(err))
	}
	p := &pinned{memory: memory{mem: m, size: size}, d: d}
	at, e, err := d.queue.EnqueueMapBuffer(m, true, cl.MapFlagRead|cl.MapFlagWrite, 0, int(size), nil)
	if err := queued(e, err); err != nil {
		return nil, errors.Join(err, p.memory.Close())
	}
	p.at = at
	return p, nil
}

func (d *driver) Zero(dst gpu.Memory, at, size int64) error {
	zero := new(byte)
	return queued(d.queue.EnqueueFillBuffer(of(dst).mem, unsafe.Pointer(zero), 1, int(at), int(size), nil))
}

func (d *driver) Upload(dst gpu.Memory, at int64, src gpu.Pinned, from, size int64) error {
	return queued(d.queue.EnqueueWriteBuffer(of(dst).mem, false, int(at), int(size), unsafe.Pointer(&src.Bytes()[from]), nil))
}

func (d *driver) Download(dst gpu.Pinned, at int64, src gpu.Memory, from, size int64) error {
	return queued(d.queue.EnqueueReadBuffer(of(src).mem, false, int(from), int(size), unsafe.Pointer(&dst.Bytes()[at]), nil))
}

func (d *driver) Copy(dst gpu.Memory, at int64, src gpu.Memory, from, size int64) error {
	return queued(d.queue.EnqueueCopyBuffer(of(src).mem, of(dst).mem, int(from), int(at), int(size), nil))
}

// Load builds a module from its source.
func (d *driver) Load(m gpu.Module) error {
	p, err := d.context.CreateProgramWithSource([]string{m.Source})
	if err != nil {
		return sentinel(err)
	}
	options := "-cl-std=CL1.2"
	const floatConfig, roundedDivide = 0x101B, 1 << 7
	if n, err := d.device.GetInfoUlong(floatConfig); err == nil && n&roundedDivide != 0 {
		options += " -cl-fp32-correctly-rounded-divide-sqrt"
	}
	if err := p.BuildProgram([]*cl.Device{d.device}, options); err != nil {
		p.Release()
		return fmt.Errorf("they do not build on %s with %s: %w", d.device.Name(), options, sentinel(err))
	}
	d.programs[m.Name] = p
	return nil
}

func (d *driver) Flush() error { return sentinel(d.queue.Flush()) }
func (d *driver) Sync() error  { return sentinel(d.queue.Finish()) }

func (d *driver) Close() error {
	err := d.Sync()
	for _, p := range d.programs {
		p.Release()
	}
	d.queue.Release()
	d.context.Release()
	return err
}

// mark is an event of the queue.
type mark struct{ event *cl.Event }

func (d *driver) Mark() (gpu.Mark, error) {
	e, err := d.queue.EnqueueMarkerWithWaitList(nil)
	if err != nil {
		return nil, sentinel(err)
	}
	return mark{e}, nil
}

func (m mark) Wait() error { return sentinel(cl.WaitForEvents([]*cl.Event{m.event})) }

func (m mark) Done() (bool, error) {
	_, err := m.event.GetEventProfilingInfo(cl.ProfilingInfoCommandEnd)
	if errors.Is(err, cl.ErrProfilingInfoNotAvailable) {
		return false, nil
	}
	return err == nil, sentinel(err)
}

// Time is not told: nothing ties the device's clock to the host's.
func (m mark) Time() (time.Time, bool) { return time.Time{}, false }

func (m mark) Close() error {
	m.event.Release()
	return nil
}
