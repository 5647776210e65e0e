package gpu

import (
	"context"
	"errors"
	"sync"
	"time"
)

// event is two marks around what was queued.
type event struct {
	d *Device

	mu         sync.Mutex
	start, end Mark         // nil: released, or nothing was queued
	came       <-chan error // from who waits for end; nil: nobody
	err        error
	from, to   time.Time
	timed      bool
}

// finish marks the end and hands the queue to the device.
func (e *event) finish() error {
	var err error
	if e.end, err = e.d.driver.Mark(); err != nil {
		return err
	}
	return e.d.driver.Flush()
}

// Wait returns when the work has ended, with its error, or when ctx or the device's time
// has: then the work is still under way.
func (e *event) Wait(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.end == nil {
		return e.err
	}
	if e.err = e.wait(ctx); e.err != nil && e.err == ctx.Err() { //nolint:errorlint // wait returns it bare
		return e.err
	}
	if e.d.isLost() {
		e.start, e.end = nil, nil // the driver's, for good
		return e.err
	}
	e.note()
	e.err = errors.Join(e.err, e.close())
	return e.err
}

func (e *event) wait(ctx context.Context) error {
	if err := e.d.gone(); err != nil {
		return err
	}
	if e.came == nil {
		if ctx.Done() == nil && e.d.timeout == 0 || e.d.soon(ctx, e.end) {
			return e.d.noted(e.end.Wait())
		}
		e.came = comes(e.end)
	}
	return e.d.await(ctx, e.came)
}

// note reads the times before the marks go.
func (e *event) note() {
	if e.start == nil {
		return
	}
	var a, b bool
	e.from, a = e.start.Time()
	e.to, b = e.end.Time()
	e.timed = a && b
}

// close releases the marks.
func (e *event) close() error {
	if e.d.isLost() {
		return nil
	}
	var errs []error
	for _, m := range []*Mark{&e.start, &e.end} {
		if *m != nil {
			errs = append(errs, (*m).Close())
			*m = nil
		}
	}
	return errors.Join(errs...)
}

// Times returns when the device ran the work.
func (e *event) Times() (start, end time.Time, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.end != nil && !e.d.isLost() {
		if done, err := e.end.Done(); !done || err != nil {
			return time.Time{}, time.Time{}, false
		}
		e.note()
	}
	return e.from, e.to, e.timed
}
