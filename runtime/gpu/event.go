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
	start, end Mark // nil: released, or nothing was queued
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

// polled is how long a wait that may be given up sleeps between two looks.
const polled = 100 * time.Microsecond

// Wait returns when the work has ended, with its error, or when ctx has: then the
// work is still under way.
func (e *event) Wait(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.end == nil {
		return e.err
	}
	for ctx.Done() != nil {
		done, err := e.end.Done()
		if done || err != nil {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(polled):
		}
	}
	e.err = e.end.Wait()
	e.note()
	e.err = errors.Join(e.err, e.close())
	return e.err
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
	if e.end != nil {
		if done, err := e.end.Done(); !done || err != nil {
			return time.Time{}, time.Time{}, false
		}
		e.note()
	}
	return e.from, e.to, e.timed
}
