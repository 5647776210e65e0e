//go:build linux && !nogpu

package cuda

import (
	"errors"
	"sync"
	"time"

	"mnnconv/runtime/cuda/driver"
	"mnnconv/runtime/gpu"
)

// mark is an event of the driver.
type mark struct {
	d     *device
	event driver.Event
}

// Mark puts an event into the queue.
func (d *device) Mark() (gpu.Mark, error) {
	d.mu.Lock()
	var e driver.Event
	if n := len(d.spare); n > 0 {
		e, d.spare = d.spare[n-1], d.spare[:n-1]
	}
	d.mu.Unlock()
	if e == 0 {
		var err error
		if e, err = d.ctx.NewEvent(); err != nil {
			return nil, d.sentinel(err)
		}
	}
	m := &mark{d, e}
	if err := d.ctx.Mark(e, d.stream); err != nil {
		return nil, errors.Join(d.sentinel(err), m.Close())
	}
	return m, nil
}

// Wait blocks until the queue has come here.
func (m *mark) Wait() error {
	if err := m.d.Begin(); err != nil {
		return err
	}
	defer m.d.End()
	return m.d.sentinel(m.d.ctx.Wait(m.event))
}

// Done tells without waiting.
func (m *mark) Done() (bool, error) {
	if err := m.d.Begin(); err != nil {
		return false, err
	}
	defer m.d.End()
	done, err := m.d.ctx.Done(m.event)
	return done, m.d.sentinel(err)
}

// Time is when the device came here, on the host's clock.
func (m *mark) Time() (time.Time, bool) {
	if m.d.Begin() != nil {
		return time.Time{}, false
	}
	defer m.d.End()
	return m.d.clock.of(m.d, m.event)
}

// Close keeps the event for another mark.
func (m *mark) Close() error {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.spare = append(m.d.spare, m.event)
	return nil
}

// clock turns the time between two events, which the driver tells in milliseconds of
// 24 bits, into times of the host: it counts from an event that is never old.
type clock struct {
	mu   sync.Mutex
	base driver.Event
	at   time.Time // of base
}

// fresh is how old the event may be that others are measured from: at 4 s the driver
// tells half a microsecond.
const fresh = 4 * time.Second

func (c *clock) start(d *device) error {
	var err error
	if c.base, err = d.ctx.NewEvent(); err != nil {
		return d.sentinel(err)
	}
	return c.renew(d)
}

// renew takes the time anew, on an idle queue or behind what is under way.
func (c *clock) renew(d *device) error {
	if err := d.ctx.Mark(c.base, d.stream); err != nil {
		return d.sentinel(err)
	}
	if err := d.ctx.Wait(c.base); err != nil {
		return d.sentinel(err)
	}
	c.at = time.Now()
	return nil
}

// of returns an event's time, unless it has not been reached.
func (c *clock) of(d *device, e driver.Event) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, err := d.ctx.Between(c.base, e)
	if err != nil {
		return time.Time{}, false
	}
	t := c.at.Add(since)
	if since > fresh && c.renew(d) != nil {
		return time.Time{}, false
	}
	return t, true
}

func (c *clock) stop(d *device) error { return d.ctx.CloseEvent(c.base) }
