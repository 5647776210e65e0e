package opencl

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"

	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// sequence is launches with a kernel object each: arguments are its state.
type sequence struct {
	d        *driver
	launches []launch
}

type launch struct {
	kernel        uintptr
	global, local [3]uintptr
	what          *gpu.Command
}

// Record makes a kernel object for every launch and sets its arguments.
func (d *driver) Record(commands []gpu.Command) (gpu.Sequence, error) {
	s := &sequence{d: d, launches: make([]launch, 0, len(commands))}
	for i := range commands {
		if err := s.add(&commands[i]); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: kernel %s.%s: %w", commands[i].Node, commands[i].Module, commands[i].Kernel, err), s.Close())
		}
	}
	return s, nil
}

func (s *sequence) add(c *gpu.Command) error {
	d := s.d
	program := d.programs[c.Module]
	if program == 0 {
		return fmt.Errorf("%w: its module was not loaded", runtime.ErrExecution)
	}
	name := append([]byte(c.Kernel), 0)
	k, err := d.api.make(createKernel, program, uintptr(unsafe.Pointer(&name[0])))
	if err != nil {
		return err
	}
	l := launch{kernel: k, what: c, local: [3]uintptr{uintptr(c.Size), 1, 1}}
	for i, g := range c.Groups {
		l.global[i] = uintptr(g) * l.local[i]
	}
	s.launches = append(s.launches, l)
	for i := range c.Args {
		if err := d.set(k, i, &c.Args[i]); err != nil {
			return fmt.Errorf("argument %d: %w", i, err)
		}
	}
	return nil
}

// set sets one argument.
func (d *driver) set(kernel uintptr, i int, a *gpu.Arg) error {
	const pointer = unsafe.Sizeof(uintptr(0))
	switch {
	case a.Memory != nil:
		mem, err := a.Memory.(*memory).area(a.Offset, a.Bytes)
		if err != nil {
			return err
		}
		return d.api.do(setKernelArg, kernel, uintptr(i), pointer, uintptr(unsafe.Pointer(&mem)))
	case len(a.Value) == 0:
		return d.api.do(setKernelArg, kernel, uintptr(i), pointer, 0)
	}
	return d.api.do(setKernelArg, kernel, uintptr(i), uintptr(len(a.Value)), uintptr(unsafe.Pointer(&a.Value[0])))
}

// Submit queues the launches.
func (s *sequence) Submit() error {
	enqueue, queue := s.d.api.at[enqueueNDRangeKernel], s.d.queue
	for i := range s.launches {
		l := &s.launches[i]
		r, _, _ := purego.SyscallN(enqueue, queue, l.kernel, 3, 0, uintptr(unsafe.Pointer(&l.global)), uintptr(unsafe.Pointer(&l.local)), 0, 0, 0)
		if int32(r) != 0 {
			return fmt.Errorf("%s: kernel %s.%s: %w", l.what.Node, l.what.Module, l.what.Kernel, status(entryNames[enqueueNDRangeKernel], int32(r)))
		}
	}
	return nil
}

// Close releases the kernel objects.
func (s *sequence) Close() error {
	var errs []error
	for _, l := range s.launches {
		errs = append(errs, s.d.api.do(releaseKernel, l.kernel))
	}
	s.launches = nil
	return errors.Join(errs...)
}
