package gpu

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mnnconv/runtime"
)

// A device is lost when its driver says so, or when what was queued does not end in
// time. From then on every call fails with the first error and none reaches the driver,
// which might never return from it; what the device held is left to the end of the
// process.

// WithTimeout bounds how long the device may take for what was queued; 0: as long as
// it likes.
func (d *Device) WithTimeout(t time.Duration) *Device {
	d.timeout = t
	return d
}

// gone returns why the device is lost, or nil.
func (d *Device) gone() error {
	if err := d.lost.Load(); err != nil {
		return *err
	}
	return nil
}

func (d *Device) isLost() bool { return d.lost.Load() != nil }

// noted returns err, after which the device may be lost.
func (d *Device) noted(err error) error {
	if errors.Is(err, runtime.ErrLost) {
		d.lost.CompareAndSwap(nil, &err)
	}
	return err
}

// release is do for what gives things back: a lost device takes none.
func (d *Device) release(f func() error) error {
	if d.isLost() {
		return nil
	}
	return d.do(f)
}

// wait waits for a mark.
func (d *Device) wait(m Mark) error {
	if d.timeout == 0 || d.soon(context.Background(), m) {
		return d.noted(m.Wait())
	}
	return d.await(context.Background(), comes(m))
}

// patience is how long a wait looks again and again before it leaves that to a goroutine,
// which is 60 µs slower to tell: longer than a decode step.
const patience = 8 * time.Millisecond

// soon looks whether a mark has come, or failed, for a while.
func (d *Device) soon(ctx context.Context, m Mark) bool {
	look := patience
	if d.timeout > 0 {
		look = min(look, d.timeout)
	}
	for end := time.Now().Add(look); ; {
		if done, err := m.Done(); done || err != nil {
			return true
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return false
		}
	}
}

// comes waits for a mark elsewhere: a driver that never returns keeps a goroutine, not
// its caller.
func comes(m Mark) <-chan error {
	came := make(chan error, 1)
	go func() { came <- m.Wait() }()
	return came
}

// await returns what comes, unless the context or the device's time ends before.
func (d *Device) await(ctx context.Context, came <-chan error) error {
	var late <-chan time.Time
	if d.timeout > 0 {
		t := time.NewTimer(d.timeout)
		defer t.Stop()
		late = t.C
	}
	select {
	case err := <-came:
		return d.noted(err)
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		return d.noted(fmt.Errorf("%w: %s has not ended what was queued after %v", runtime.ErrLost, d.space, d.timeout))
	}
}

// drain waits for all that was queued.
func (d *Device) drain() error {
	if d.timeout == 0 {
		return d.noted(d.driver.Sync())
	}
	m, err := d.driver.Mark()
	if err != nil {
		return err
	}
	if err := errors.Join(d.driver.Flush(), d.wait(m)); err != nil {
		return err
	}
	return m.Close()
}
