package gpu

import (
	"context"
	"errors"
	"maps"
	"slices"

	"mnnconv/runtime"
)

// launch is a program with its arguments bound.
type launch struct {
	d        *Device
	b        runtime.Bindings
	sequence Sequence // nil: nothing runs
	scratch  Memory
	uses     []*buffer // that must be open
	apart    []*buffer // its own
	outs     []runtime.Bound
	counts   map[string]int // launches, by kernel
}

func (l *launch) use(b *buffer) {
	if !slices.Contains(l.uses, b) {
		l.uses = append(l.uses, b)
	}
}

// Submit queues the launches.
func (l *launch) Submit(ctx context.Context, waits []runtime.Event) (runtime.Event, error) {
	if err := l.d.after(ctx, waits); err != nil {
		return nil, err
	}
	for _, b := range l.uses {
		if err := b.open(l.d); err != nil {
			return nil, err
		}
	}
	ev := &event{d: l.d}
	if err := l.submit(ev); err != nil {
		return nil, errors.Join(err, ev.close())
	}
	return ev, nil
}

func (l *launch) submit(ev *event) (err error) {
	d := l.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.gone(); err != nil {
		return err
	}
	defer func() { err = d.noted(err) }()
	if err := d.driver.Begin(); err != nil {
		return err
	}
	defer d.driver.End()
	if ev.start, err = d.driver.Mark(); err != nil {
		return err
	}
	if l.sequence != nil {
		if err := l.sequence.Submit(); err != nil {
			return err
		}
	}
	return ev.finish()
}

// Outputs says where results lie: all of it was known when the launch was recorded.
func (l *launch) Outputs() ([]runtime.Bound, error) { return l.outs, nil }

// LaunchCounts tells which kernels were chosen.
func (l *launch) LaunchCounts() []runtime.LaunchCount {
	var out []runtime.LaunchCount
	for _, name := range slices.Sorted(maps.Keys(l.counts)) {
		out = append(out, runtime.LaunchCount{Kernel: name, Count: l.counts[name]})
	}
	return out
}

// Close releases the launch, which must have ended.
func (l *launch) Close() error {
	err := l.d.release(func() error {
		var errs []error
		if l.sequence != nil {
			errs = append(errs, l.sequence.Close())
		}
		if l.scratch != nil {
			errs = append(errs, l.scratch.Close())
		}
		return errors.Join(errs...)
	})
	l.sequence, l.scratch = nil, nil
	for _, b := range l.apart {
		err = errors.Join(err, b.Close())
	}
	l.apart = nil
	return err
}
