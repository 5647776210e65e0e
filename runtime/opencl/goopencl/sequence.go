//go:build goopencl

package goopencl

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/jgillich/go-opencl/cl"

	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// sequence is launches with a kernel object each: arguments are its state.
type sequence struct {
	d        *driver
	launches []launch
}

type launch struct {
	kernel        *cl.Kernel
	global, local []int
	areas         []area
	what          *gpu.Command
}

// area is a stretch of memory, and the buffer that a kernel is given in its place.
type area struct {
	of *memory
	part
	copy *cl.MemObject
}

// Record makes a kernel object for every launch and sets its arguments.
func (d *driver) Record(commands []gpu.Command) (gpu.Sequence, error) {
	s := &sequence{d: d}
	for i := range commands {
		c := &commands[i]
		if err := s.add(c); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: kernel %s.%s: %w", c.Node, c.Module, c.Kernel, err), s.Close())
		}
	}
	return s, nil
}

func (s *sequence) add(c *gpu.Command) error {
	p := s.d.programs[c.Module]
	if p == nil {
		return fmt.Errorf("%w: its module was not loaded", runtime.ErrExecution)
	}
	k, err := p.CreateKernel(c.Kernel)
	if err != nil {
		return sentinel(err)
	}
	l := launch{kernel: k, what: c, local: []int{c.Size, 1, 1}}
	for i, g := range c.Groups {
		l.global = append(l.global, g*l.local[i])
	}
	for i := range c.Args {
		if err := s.d.set(&l, i, &c.Args[i]); err != nil {
			k.Release()
			return fmt.Errorf("argument %d: %w", i, err)
		}
	}
	s.launches = append(s.launches, l)
	return nil
}

// set sets one argument.
func (d *driver) set(l *launch, i int, a *gpu.Arg) error {
	switch {
	case a.Memory != nil:
		buffer, err := d.area(l, of(a.Memory), part{a.Offset, a.Bytes})
		if err != nil {
			return err
		}
		return sentinel(l.kernel.SetArgBuffer(i, buffer))
	case len(a.Value) == 0:
		return sentinel(l.kernel.SetArgUnsafe(i, int(unsafe.Sizeof(uintptr(0))), nil))
	}
	return sentinel(l.kernel.SetArgUnsafe(i, len(a.Value), unsafe.Pointer(&a.Value[0])))
}

// area returns the buffer that stands for a stretch of memory in a launch.
func (d *driver) area(l *launch, m *memory, p part) (*cl.MemObject, error) {
	x := area{m, p, m.mem}
	for _, a := range l.areas {
		if a.of == m && a.part != p && a.offset < p.offset+p.size && p.offset < a.offset+a.size {
			return nil, fmt.Errorf("%w: arguments that overlap (bytes %d to %d and %d to %d): go-opencl has no sub-buffers: %w", runtime.ErrExecution,
				a.offset, a.offset+a.size, p.offset, p.offset+p.size, errors.ErrUnsupported)
		}
	}
	if p != (part{0, m.size}) {
		if x.copy = m.parts[p]; x.copy == nil {
			c, err := d.context.CreateEmptyBuffer(cl.MemReadWrite, int(p.size))
			if err != nil {
				return nil, sentinel(err)
			}
			if m.parts == nil {
				m.parts = map[part]*cl.MemObject{}
			}
			m.parts[p], x.copy = c, c
		}
	}
	l.areas = append(l.areas, x)
	return x.copy, nil
}

// Submit queues the launches, and the copies round them.
func (s *sequence) Submit() error {
	q := s.d.queue
	for i := range s.launches {
		l := &s.launches[i]
		var errs []error
		for _, a := range l.areas {
			if a.copy != a.of.mem {
				errs = append(errs, queued(q.EnqueueCopyBuffer(a.of.mem, a.copy, int(a.offset), 0, int(a.size), nil)))
			}
		}
		errs = append(errs, queued(q.EnqueueNDRangeKernel(l.kernel, nil, l.global, l.local, nil)))
		for _, a := range l.areas {
			if a.copy != a.of.mem {
				errs = append(errs, queued(q.EnqueueCopyBuffer(a.copy, a.of.mem, 0, int(a.offset), int(a.size), nil)))
			}
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("%s: kernel %s.%s: %w", l.what.Node, l.what.Module, l.what.Kernel, err)
		}
	}
	return nil
}

// Close releases the kernel objects.
func (s *sequence) Close() error {
	for _, l := range s.launches {
		l.kernel.Release()
	}
	s.launches = nil
	return nil
}
