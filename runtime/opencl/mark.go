package opencl

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// mark is an event of the queue.
type mark struct {
	d     *driver
	event uintptr
}

// Keys of information about events.
const (
	eventStatus  = 0x11D3
	profilingEnd = 0x1283
)

func (d *driver) Mark() (gpu.Mark, error) { return d.mark() }

func (d *driver) mark() (*mark, error) {
	m := &mark{d: d}
	return m, d.api.do(enqueueMarkerWithWaitList, d.queue, 0, 0, uintptr(unsafe.Pointer(&m.event)))
}

// Wait returns when the event has come.
func (m *mark) Wait() error {
	if err := m.d.api.do(flush, m.d.queue); err != nil {
		return err
	}
	if err := m.d.api.do(waitForEvents, 1, uintptr(unsafe.Pointer(&m.event))); err != nil {
		return err
	}
	_, err := m.Done()
	return err
}

// Done looks at the event's state, which is negative where something failed.
func (m *mark) Done() (bool, error) {
	var s int32
	if err := m.d.api.do(getEventInfo, m.event, eventStatus, unsafe.Sizeof(s), uintptr(unsafe.Pointer(&s)), 0); err != nil {
		return false, err
	}
	if s < 0 {
		err := status("event", s)
		if errors.Is(err, runtime.ErrMemory) { // a driver that takes memory at its first use
			return true, err
		}
		return true, fmt.Errorf("%w: what was queued on %s failed: %w", runtime.ErrLost, m.d.words(deviceName), err)
	}
	return s == 0, nil
}

// Time is when the event came, on the host's clock.
func (m *mark) Time() (time.Time, bool) {
	at, err := m.nanoseconds()
	return m.d.epoch.time(at), err == nil && at != 0
}

func (m *mark) nanoseconds() (at uint64, err error) {
	err = m.d.api.do(getEventProfilingInfo, m.event, profilingEnd, unsafe.Sizeof(at), uintptr(unsafe.Pointer(&at)), 0)
	return at, err
}

func (m *mark) Close() error {
	e := m.event
	m.event = 0
	return m.d.api.do(releaseEvent, e)
}
