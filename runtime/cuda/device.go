//go:build linux && !nogpu

package cuda

import (
	"errors"
	"fmt"
	"sync"

	"mnnconv/runtime"
	"mnnconv/runtime/cuda/driver"
	"mnnconv/runtime/gpu"
)

// device is the driver that package gpu drives: a context with one queue.
type device struct {
	name    string
	ctx     *driver.Context
	stream  driver.Stream
	clock   clock
	modules map[string]module
	lt      *multiplier // nil: there is no library of products

	mu    sync.Mutex
	spare []driver.Event // to be marked again

	books Books
}

// Books count what a device was asked to do.
type Books struct {
	Kernels int // launched one by one
	Graphs  int // launched, each a whole recording
}

// Books returns the device's, between two calls of it.
func (d *device) Books() Books { return d.books }

func newDevice(name string, c *driver.Context) (*device, error) {
	d := &device{name: name, ctx: c, modules: map[string]module{}}
	if err := d.Begin(); err != nil {
		return nil, err
	}
	defer d.End()
	var err error
	if d.stream, err = c.NewStream(); err != nil {
		return nil, d.sentinel(err)
	}
	if err := d.clock.start(d); err != nil {
		return nil, errors.Join(err, d.sentinel(c.CloseStream(d.stream)))
	}
	return d, nil
}

// sentinel says which of the runtime's errors one of the driver is.
func (d *device) sentinel(err error) error {
	if err == nil {
		return nil
	}
	kind := runtime.ErrExecution
	var e *driver.Error
	if errors.As(err, &e) && e.Status == driver.OutOfMemory {
		kind = runtime.ErrMemory
	}
	if d.ctx.Lost() {
		return fmt.Errorf("%w: %s answers nothing more in this process: %w", runtime.ErrLost, d.name, err)
	}
	return fmt.Errorf("%w: %s: %w", kind, d.name, err)
}

// Begin locks the goroutine to a thread that has the context.
func (d *device) Begin() error { return d.sentinel(d.ctx.Enter()) }

// End ends what Begin began.
func (d *device) End() { d.ctx.Leave() }

// Limits are those of the kernels' target, sm_80.
func (d *device) Limits() gpu.Limits {
	return gpu.Limits{Group: 1024, Local: 48 << 10, Units: d.ctx.Device.Processors, Tensor: true, Shuffle: true}
}

// Free returns the device's free bytes.
func (d *device) Free() (int64, error) {
	free, _, err := d.ctx.Info()
	return free, d.sentinel(err)
}

// Zero queues the clearing of memory.
func (d *device) Zero(dst gpu.Memory, at, size int64) error {
	return d.sentinel(d.ctx.Fill(address(dst)+uintptr(at), 0, size, d.stream))
}

// Upload queues a copy from pinned memory.
func (d *device) Upload(dst gpu.Memory, at int64, src gpu.Pinned, from, size int64) error {
	return d.sentinel(d.ctx.Upload(address(dst)+uintptr(at), src.Bytes()[from:from+size], d.stream))
}

// Download queues a copy to pinned memory.
func (d *device) Download(dst gpu.Pinned, at int64, src gpu.Memory, from, size int64) error {
	return d.sentinel(d.ctx.Download(dst.Bytes()[at:at+size], address(src)+uintptr(from), d.stream))
}

// Copy queues a copy within the device.
func (d *device) Copy(dst gpu.Memory, at int64, src gpu.Memory, from, size int64) error {
	return d.sentinel(d.ctx.Copy(address(dst)+uintptr(at), address(src)+uintptr(from), size, d.stream))
}

// Flush does nothing: the driver hands work over as it comes.
func (d *device) Flush() error { return nil }

// Sync waits for all that was queued.
func (d *device) Sync() error { return d.sentinel(d.ctx.Sync(d.stream)) }

// Close releases the queue, the modules and the context.
func (d *device) Close() error {
	if d.ctx.Lost() {
		return nil
	}
	if err := d.Begin(); err != nil {
		return err
	}
	var errs []error
	for _, m := range d.modules {
		errs = append(errs, d.ctx.Unload(m.module))
	}
	for _, e := range d.spare {
		errs = append(errs, d.ctx.CloseEvent(e))
	}
	if d.lt != nil {
		errs = append(errs, d.lt.close())
	}
	errs = append(errs, d.clock.stop(d), d.ctx.CloseStream(d.stream))
	d.End()
	return d.sentinel(errors.Join(append(errs, d.ctx.Close())...))
}
