package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mnnconv/graph"
	"mnnconv/runtime"
	"mnnconv/runtime/host"
	"mnnconv/schemas/op"
)

type launch struct {
	p     *program
	frame *host.Frame
	b     runtime.Bindings
	uses  []*buffer
	cost  time.Duration
	told  []runtime.Bound // what Outputs last returned
	fixed []bool          // outputs whose place and shape are known before running
	apart []*buffer       // memory of outputs whose size only running tells

	mu   sync.Mutex
	outs []runtime.Bound // the queue fills in what only running tells
}

// fix finds the outputs that are states, which are written where they lie, and
// those that lie in the arena with a shape that follows from the inputs'.
func (l *launch) fix() {
	for i, v := range l.p.p.Outputs {
		for _, s := range l.p.p.States {
			if k := slices.Index(l.p.p.Inputs, s.In); s.Out == v && k >= 0 {
				l.outs[i], l.fixed[i] = l.b.Inputs[k], true
			}
		}
		t := l.frame.Out(i)
		if l.fixed[i] || t == nil {
			continue
		}
		size, ok := t.DType.Bytes(int64(t.Len()))
		if !ok {
			continue
		}
		var view runtime.View
		if view, l.fixed[i] = l.b.InArena(v, size); l.fixed[i] {
			l.outs[i] = runtime.Bound{View: view, DType: t.DType, Shape: t.Shape}
		}
	}
}

// Submit queues the launch. Outputs of unknown shape are gone until it has ended.
func (l *launch) Submit(ctx context.Context, waits []runtime.Event) (runtime.Event, error) {
	d := l.p.d
	if err := d.count(Submit); err != nil {
		return nil, err
	}
	c := &command{waits: waits, cost: l.cost, uses: make([]*buffer, 0, len(l.uses))}
	for _, b := range l.uses {
		if _, err := b.heap.use(b.id); err != nil {
			c.unuse()
			return nil, err
		}
		c.uses = append(c.uses, b)
	}
	l.mu.Lock()
	for i := range l.outs {
		if !l.fixed[i] {
			l.outs[i] = runtime.Bound{}
		}
	}
	l.mu.Unlock()
	c.do = func() error {
		if err := l.frame.Run(ctx); err != nil {
			return err
		}
		if err := d.heap.checkGuards(); err != nil {
			return err
		}
		return l.keep()
	}
	d.enqueue(c)
	return c, nil
}

// keep moves outputs whose size only running told into device memory of their own,
// or into the arena where they have a place there.
func (l *launch) keep() error {
	for i, v := range l.p.p.Outputs {
		if l.fixed[i] {
			continue
		}
		t := l.frame.Out(i)
		if t.Kind != graph.TensorKind {
			return fmt.Errorf("%w: output %q is no tensor and cannot leave its partition", op.ErrUnsupported, v.Name)
		}
		size := int64(len(t.Data))
		view, ok := l.b.InArena(v, size)
		if !ok {
			b, err := l.room(i, size)
			if err != nil {
				return fmt.Errorf("output %q: %w", v.Name, err)
			}
			view = runtime.View{Buffer: b, Size: size}
		}
		l.mu.Lock()
		l.outs[i] = runtime.Bound{View: view, DType: t.DType, Shape: t.Shape}
		l.mu.Unlock()
		b := own(view.Buffer)
		mem, err := b.heap.bytes(b.id)
		if err != nil {
			return err
		}
		copy(mem[view.Offset:view.Offset+size], t.Data)
	}
	return nil
}

// room returns memory of output i's own. It is kept from run to run while the size
// stays, so that readers recorded against it stay valid.
func (l *launch) room(i int, size int64) (*buffer, error) {
	if b := l.apart[i]; b != nil {
		if b.size == size {
			return b, nil
		}
		l.apart[i] = nil
		if err := b.Close(); err != nil {
			return nil, err
		}
	}
	b, err := l.p.d.heap.alloc(size)
	l.apart[i] = b
	return b, err
}

// KernelTimes tells when the kernels of the last run ran; on a virtual clock they
// have no times.
func (l *launch) KernelTimes(f func(kernel int, start, end time.Time)) {
	if !l.p.d.config.Virtual {
		l.frame.Times(func(k int, at host.Span) { f(k, at.Start, at.End) })
	}
}

// Outputs says where results lie.
func (l *launch) Outputs() ([]runtime.Bound, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	copy(l.told, l.outs)
	return l.told, nil
}

func (l *launch) Close() error {
	var errs []error
	for i, b := range l.apart {
		if b != nil {
			errs = append(errs, b.Close())
		}
		l.apart[i] = nil
	}
	return errors.Join(errs...)
}
