package opencl

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// driver is a context with one in-order queue. OpenCL's calls may come from any thread.
type driver struct {
	device
	lim      gpu.Limits
	cache    cache
	context  uintptr
	queue    uintptr
	programs map[string]uintptr
	options  string
	imports  *externalMemory // nil: not asked for yet
	epoch    clock
}

// Flags.
const (
	queueProfiling   = 1 << 1
	memReadWrite     = 1 << 0
	memUseHost       = 1 << 3
	memAllocHost     = 1 << 4
	mapReadWrite     = 1<<0 | 1<<1
	bufferCreateArea = 0x1220
)

func newDriver(d device, folder string) (*driver, error) {
	lim, err := d.limits()
	if err != nil {
		return nil, err
	}
	for key, what := range map[uint32]string{deviceAvailable: "is not available", deviceCompiler: "has no compiler"} {
		if n, err := d.number(key); err != nil || n == 0 {
			return nil, errors.Join(fmt.Errorf("%w: %s %s", runtime.ErrUnavailable, d.words(deviceName), what), err)
		}
	}
	if lim.Group < groupNeeded || lim.Local < localNeeded {
		return nil, fmt.Errorf("%w: %s has groups of %d work-items with %d bytes of local memory, %d and %d are needed", runtime.ErrUnavailable,
			d.words(deviceName), lim.Group, lim.Local, groupNeeded, localNeeded)
	}
	drv := &driver{device: d, lim: lim, programs: map[string]uintptr{}}
	if drv.cache, err = newCache(d, folder); err != nil {
		return nil, err
	}
	drv.options = "-cl-std=CL1.2"
	if n, err := d.number(deviceFloatConfig); err == nil && n&correctlyRoundedDiv != 0 {
		drv.options += " -cl-fp32-correctly-rounded-divide-sqrt"
	}
	if lim.Shuffle {
		drv.options += " -DNVIDIA"
	}
	if lim.Tensor {
		drv.options += " -DTENSOR"
	}
	if drv.context, err = d.api.make(createContext, 0, 1, uintptr(unsafe.Pointer(&drv.id)), 0, 0); err != nil {
		return nil, err
	}
	if drv.queue, err = d.api.make(createCommandQueue, drv.context, d.id, queueProfiling); err != nil {
		return nil, errors.Join(err, drv.api.do(releaseContext, drv.context))
	}
	if err := drv.epoch.set(drv); err != nil {
		return nil, errors.Join(err, drv.Close())
	}
	return drv, nil
}

// What the kernels ask of a device: the largest group, and the most local memory.
const (
	groupNeeded = 256
	localNeeded = 32 << 10
)

func (d *driver) Begin() error       { return nil }
func (d *driver) End()               {}
func (d *driver) Limits() gpu.Limits { return d.lim }

// Free is not told by OpenCL.
func (d *driver) Free() (int64, error) { return 0, nil }

// memory is a cl_mem with those of its stretches that kernels were given.
type memory struct {
	d     *driver
	mem   uintptr
	size  int64
	parts map[part]uintptr
	order []uintptr // of parts, as they were made
}

type part struct{ offset, size int64 }

func (m *memory) Size() int64 { return m.size }

// Close releases the memory, its stretches in the reverse order of their making: NVIDIA's
// driver 580 crashes at any other.
func (m *memory) Close() error {
	var errs []error
	for _, p := range slices.Backward(m.order) {
		errs = append(errs, m.d.api.do(releaseMemObject, p))
	}
	m.order, m.parts = nil, nil
	return errors.Join(append(errs, m.d.api.do(releaseMemObject, m.mem))...)
}

// area returns a stretch as an object of its own.
func (m *memory) area(offset, size int64) (uintptr, error) {
	if offset == 0 && size == m.size {
		return m.mem, nil
	}
	k := part{offset, size}
	if p, ok := m.parts[k]; ok {
		return p, nil
	}
	region := &[2]uintptr{uintptr(offset), uintptr(size)}
	p, err := m.d.api.make(createSubBuffer, m.mem, memReadWrite, bufferCreateArea, uintptr(unsafe.Pointer(region)))
	if err != nil {
		return 0, fmt.Errorf("bytes %d to %d of %d: %w", offset, offset+size, m.size, err)
	}
	if m.parts == nil {
		m.parts = map[part]uintptr{}
	}
	m.parts[k] = p
	m.order = append(m.order, p)
	return p, nil
}

// Alloc returns device memory. Its last byte is written: drivers take memory at the first
// use only, and one that has not enough says so here then.
func (d *driver) Alloc(size int64) (gpu.Memory, error) {
	mem, err := d.api.make(createBuffer, d.context, memReadWrite, uintptr(size), 0)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of device memory: %w", size, err)
	}
	m := &memory{d: d, mem: mem, size: size}
	if err := d.Zero(m, size-1, 1); err != nil {
		return nil, errors.Join(fmt.Errorf("%d bytes of device memory: %w", size, err), m.Close())
	}
	return m, nil
}

// pinned is memory of the driver that stays mapped.
type pinned struct {
	memory
	bytes []byte
}

func (p *pinned) Bytes() []byte { return p.bytes }

func (p *pinned) Close() error {
	err := p.d.api.do(enqueueUnmapMemObject, p.d.queue, p.mem, uintptr(unsafe.Pointer(unsafe.SliceData(p.bytes))), 0, 0, 0)
	p.bytes = nil
	return errors.Join(err, p.d.Sync(), p.memory.Close())
}

func (d *driver) Pin(size int64) (gpu.Pinned, error) {
	mem, err := d.api.make(createBuffer, d.context, memReadWrite|memAllocHost, uintptr(size), 0)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of pinned memory: %w", size, err)
	}
	return d.mapped(mem, size)
}

// Adopt makes a buffer over memory that another driver pinned. NVIDIA's copies from it at
// the speed of its own then, and at a quarter of that from an address that it knows
// nothing of.
func (d *driver) Adopt(b []byte) (gpu.Pinned, error) {
	mem, err := d.api.make(createBuffer, d.context, memReadWrite|memUseHost, uintptr(len(b)), uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	if err != nil {
		return nil, fmt.Errorf("%d bytes of another driver's pinned memory: %w", len(b), err)
	}
	p, err := d.mapped(mem, int64(len(b)))
	if err == nil && unsafe.SliceData(p.bytes) != unsafe.SliceData(b) {
		return nil, errors.Join(fmt.Errorf("%w: memory of the host is mapped elsewhere", runtime.ErrAddress), p.Close())
	}
	return p, err
}

// mapped maps a buffer for good, or releases it.
func (d *driver) mapped(mem uintptr, size int64) (*pinned, error) {
	p := &pinned{memory: memory{d: d, mem: mem, size: size}}
	address, err := d.api.make(enqueueMapBuffer, d.queue, mem, 1, mapReadWrite, 0, uintptr(size), 0, 0, 0)
	if err != nil {
		return nil, errors.Join(err, p.memory.Close())
	}
	p.bytes = unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), size)
	return p, nil
}

// Zero fills whole bytes of zeros.
func (d *driver) Zero(dst gpu.Memory, at, size int64) error {
	zero := new(byte)
	return d.api.do(enqueueFillBuffer, d.queue, dst.(*memory).mem, uintptr(unsafe.Pointer(zero)), 1, uintptr(at), uintptr(size), 0, 0, 0)
}

func (d *driver) Upload(dst gpu.Memory, at int64, src gpu.Pinned, from, size int64) error {
	b := src.Bytes()[from : from+size]
	return d.api.do(enqueueWriteBuffer, d.queue, dst.(*memory).mem, 0, uintptr(at), uintptr(size), uintptr(unsafe.Pointer(unsafe.SliceData(b))), 0, 0, 0)
}

func (d *driver) Download(dst gpu.Pinned, at int64, src gpu.Memory, from, size int64) error {
	b := dst.Bytes()[at : at+size]
	return d.api.do(enqueueReadBuffer, d.queue, src.(*memory).mem, 0, uintptr(from), uintptr(size), uintptr(unsafe.Pointer(unsafe.SliceData(b))), 0, 0, 0)
}

func (d *driver) Copy(dst gpu.Memory, at int64, src gpu.Memory, from, size int64) error {
	return d.api.do(enqueueCopyBuffer, d.queue, src.(*memory).mem, dst.(*memory).mem, uintptr(from), uintptr(at), uintptr(size), 0, 0, 0)
}

func (d *driver) Flush() error { return d.api.do(flush, d.queue) }
func (d *driver) Sync() error  { return d.api.do(finish, d.queue) }

// Close waits for the queue and releases everything.
func (d *driver) Close() error {
	errs := []error{d.Sync()}
	for _, p := range d.programs {
		errs = append(errs, d.api.do(releaseProgram, p))
	}
	clear(d.programs)
	return errors.Join(append(errs, d.api.do(releaseCommandQueue, d.queue), d.api.do(releaseContext, d.context))...)
}

// clock maps the device's nanoseconds to the host's clock.
type clock struct {
	host   time.Time
	device uint64
}

// set looks at both clocks at once, as near as an empty queue allows.
func (c *clock) set(d *driver) error {
	m, err := d.mark()
	if err != nil {
		return err
	}
	if err := m.Wait(); err != nil {
		return errors.Join(err, m.Close())
	}
	c.host = time.Now()
	at, err := m.nanoseconds()
	if err == nil {
		c.device = at
	}
	return m.Close()
}

func (c *clock) time(at uint64) time.Time {
	return c.host.Add(time.Duration(int64(at - c.device)))
}
