package gpu

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
)

// Device is a driver as the runtime knows it: one space, one in-order queue.
type Device struct {
	driver Driver
	space  graph.Space
	align  int64
	limits Limits

	timeout time.Duration // for what was queued; 0: any
	lost    atomic.Pointer[error]

	mu      sync.Mutex // of calls to the driver, and of what follows
	ring    ring
	weights map[weightKey]*weight
	loaded  map[string]bool // modules
}

// NewDevice returns the device of an opened driver, which it owns.
func NewDevice(p partition.Profile, d Driver) *Device {
	return &Device{driver: d, space: p.Space(), align: max(1, p.Align), limits: d.Limits(),
		weights: map[weightKey]*weight{}, loaded: map[string]bool{}}
}

// do calls f between the driver's Begin and End, alone.
func (d *Device) do(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.gone(); err != nil {
		return err
	}
	if err := d.driver.Begin(); err != nil {
		return d.noted(err)
	}
	defer d.driver.End()
	return d.noted(f())
}

// Close waits for the queue and closes the driver. A lost device is left as it is.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isLost() {
		return nil
	}
	if err := d.driver.Begin(); err != nil {
		return errors.Join(err, d.driver.Close())
	}
	err := d.drain()
	if d.isLost() {
		d.driver.End()
		return err
	}
	err = errors.Join(err, d.ring.close(d))
	for _, w := range d.weights {
		err = errors.Join(err, fmt.Errorf("%w: weights of %d bytes on %s were never released", runtime.ErrAddress, w.memory.Size(), d.space), w.memory.Close())
	}
	d.driver.End()
	return errors.Join(err, d.driver.Close())
}

// Alloc returns device memory, or pinned host memory.
func (d *Device) Alloc(size int64, kind runtime.MemoryKind) (runtime.Buffer, error) {
	if size < 0 {
		return nil, fmt.Errorf("%w: allocation of %d bytes on %s", runtime.ErrMemory, size, d.space)
	}
	b := &buffer{d: d, space: d.space, size: size}
	if kind == runtime.PinnedHost {
		b.space = graph.Host
	}
	x, shares := d.driver.(Exporter)
	err := d.do(func() (err error) {
		switch {
		case size == 0:
		case kind == runtime.PinnedHost:
			b.memory, err = d.driver.Pin(size)
		case kind == runtime.SharedMemory && shares:
			b.memory, err = x.AllocShared(size)
		default:
			b.memory, err = d.driver.Alloc(size)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if kind == runtime.PinnedHost {
		return pinned{b}, nil
	}
	return b, nil
}

// Transfer moves bytes between the device's memory and host memory, or what it
// imported. Host memory
// that is not this device's own goes through pinned slots, and then has arrived when
// Transfer returns.
func (d *Device) Transfer(dst, src runtime.View, waits []runtime.Event) (runtime.Event, error) {
	if dst.Size != src.Size {
		return nil, fmt.Errorf("%w: transfer of %d bytes into %d", runtime.ErrAddress, src.Size, dst.Size)
	}
	if err := d.after(context.Background(), waits); err != nil {
		return nil, err
	}
	ev := &event{d: d}
	err := d.do(func() error {
		var err error
		if ev.start, err = d.driver.Mark(); err != nil {
			return err
		}
		if err := d.move(dst, src); err != nil {
			return err
		}
		return ev.finish()
	})
	if err != nil {
		return nil, errors.Join(err, ev.close())
	}
	return ev, nil
}

func (d *Device) move(dst, src runtime.View) error {
	to, toDevice := dst.Buffer.(*buffer)
	from, fromDevice := src.Buffer.(*buffer)
	_, toFar := dst.Buffer.(imported)
	_, fromFar := src.Buffer.(imported)
	switch {
	case dst.Size == 0:
		return nil
	case toFar || fromFar:
		return d.cross(dst, src)
	case toDevice && fromDevice:
		if err := errors.Join(d.check(dst), d.check(src)); err != nil {
			return err
		}
		return d.driver.Copy(to.memory, dst.Offset, from.memory, src.Offset, src.Size)
	case toDevice:
		if err := d.check(dst); err != nil {
			return err
		}
		if p, ok := src.Buffer.(pinned); ok && p.d == d {
			if err := p.open(d); err != nil {
				return err
			}
			return d.driver.Upload(to.memory, dst.Offset, p.memory.(Pinned), src.Offset, src.Size)
		}
		b, err := hostBytes(src)
		if err != nil {
			return err
		}
		return d.upload(to.memory, dst.Offset, b)
	case fromDevice:
		if err := d.check(src); err != nil {
			return err
		}
		if p, ok := dst.Buffer.(pinned); ok && p.d == d {
			if err := p.open(d); err != nil {
				return err
			}
			return d.driver.Download(p.memory.(Pinned), dst.Offset, from.memory, src.Offset, src.Size)
		}
		b, err := hostBytes(dst)
		if err != nil {
			return err
		}
		return d.download(b, from.memory, src.Offset)
	}
	return fmt.Errorf("%w: a transfer on %s between other spaces", runtime.ErrAddress, d.space)
}

// check finds views that are not of this device's memory.
func (d *Device) check(v runtime.View) error {
	if err := v.Check(d.space, "transfer"); err != nil {
		return err
	}
	return v.Buffer.(*buffer).open(d)
}

func hostBytes(v runtime.View) ([]byte, error) {
	if err := v.Check(graph.Host, "transfer"); err != nil {
		return nil, err
	}
	h, ok := v.Buffer.(runtime.HostBuffer)
	if !ok {
		return nil, fmt.Errorf("%w: a buffer in %s without bytes", runtime.ErrAddress, v.Buffer.Space())
	}
	b, err := h.Bytes()
	if err != nil {
		return nil, err
	}
	return b[v.Offset : v.Offset+v.Size], nil
}

// after waits for other devices' events; this device's queue is in order.
func (d *Device) after(ctx context.Context, waits []runtime.Event) error {
	for _, w := range waits {
		if e, ok := w.(*event); ok && e.d == d {
			continue
		}
		if err := w.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// load makes modules ready that have not been used yet.
func (d *Device) load(names ...string) error {
	for _, name := range names {
		if d.loaded[name] {
			continue
		}
		m, err := ModuleOf(name)
		if err != nil {
			return err
		}
		if err := d.driver.Load(m); err != nil {
			return fmt.Errorf("kernels %s: %w", name, err)
		}
		d.loaded[name] = true
	}
	return nil
}

// CheckValues looks at a tensor on the host: it is brought there.
func (d *Device) CheckValues(b runtime.Bound, demands []partition.Relation, env graph.Env, waits []runtime.Event) (runtime.Event, error) {
	if err := d.after(context.Background(), waits); err != nil {
		return nil, err
	}
	t := &graph.Tensor{DType: b.DType, Shape: b.Shape, Data: make([]byte, b.View.Size)}
	ev := &event{d: d}
	err := d.do(func() error {
		if err := d.check(b.View); err != nil || b.View.Size == 0 {
			return err
		}
		if err := d.download(t.Data, b.View.Buffer.(*buffer).memory, b.View.Offset); err != nil {
			return err
		}
		return ev.finish()
	})
	if err != nil {
		return nil, err
	}
	for _, r := range demands {
		if err := r.CheckValues(t, nil, env); err != nil {
			return nil, errors.Join(err, ev.close())
		}
	}
	return ev, nil
}
