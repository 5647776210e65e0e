//go:build linux && !nogpu

package driver

import (
	"time"
	"unsafe"
)

// Stream is an in-order queue, Event a point in one, Graph work recorded from one.
type (
	Stream uintptr
	Event  uintptr
	Graph  uintptr
)

// NewStream returns a queue that waits for no other.
func (c *Context) NewStream() (s Stream, err error) {
	const nonBlocking = 1
	err = c.call("cuStreamCreate", c.lib.streamCreate, uintptr(unsafe.Pointer(&s)), nonBlocking)
	return s, err
}

// CloseStream releases a queue once its work is done.
func (c *Context) CloseStream(s Stream) error {
	return c.call("cuStreamDestroy", c.lib.streamDestroy, uintptr(s))
}

// Sync waits for all work of a queue.
func (c *Context) Sync(s Stream) error {
	return c.call("cuStreamSynchronize", c.lib.streamSynchronize, uintptr(s))
}

// NewEvent returns an event that takes the time.
func (c *Context) NewEvent() (e Event, err error) {
	err = c.call("cuEventCreate", c.lib.eventCreate, uintptr(unsafe.Pointer(&e)), noFlags)
	return e, err
}

// CloseEvent releases an event.
func (c *Context) CloseEvent(e Event) error {
	return c.call("cuEventDestroy", c.lib.eventDestroy, uintptr(e))
}

// Mark puts an event behind what a queue holds.
func (c *Context) Mark(e Event, s Stream) error {
	return c.call("cuEventRecord", c.lib.eventRecord, uintptr(e), uintptr(s))
}

// Await has a queue wait for an event.
func (c *Context) Await(s Stream, e Event) error {
	return c.call("cuStreamWaitEvent", c.lib.streamWaitEvent, uintptr(s), uintptr(e), noFlags)
}

// Done reports whether an event has been reached.
func (c *Context) Done(e Event) (bool, error) {
	r := c.call("cuEventQuery", c.lib.eventQuery, uintptr(e))
	if f, ok := r.(*Error); ok && f.Status == NotReady { //nolint:errorlint // call returns it bare
		return false, nil
	}
	return r == nil, r
}

// Wait blocks the thread until an event has been reached.
func (c *Context) Wait(e Event) error {
	return c.call("cuEventSynchronize", c.lib.eventSynchronize, uintptr(e))
}

// Between returns the time between two events that have been reached.
func (c *Context) Between(from, to Event) (time.Duration, error) {
	var ms float32
	if err := c.call("cuEventElapsedTime", c.lib.eventElapsedTime, uintptr(unsafe.Pointer(&ms)), uintptr(from), uintptr(to)); err != nil {
		return 0, err
	}
	return time.Duration(float64(ms) * float64(time.Millisecond)), nil
}

// Upload queues a copy from host memory, which stays outside Go's heap and
// unchanged until it is done.
func (c *Context) Upload(to uintptr, from []byte, s Stream) error {
	return c.call("cuMemcpyHtoDAsync", c.lib.memcpyHtoDAsync, to, uintptr(unsafe.Pointer(unsafe.SliceData(from))), uintptr(len(from)), uintptr(s))
}

// Download queues a copy to host memory outside Go's heap.
func (c *Context) Download(to []byte, from uintptr, s Stream) error {
	return c.call("cuMemcpyDtoHAsync", c.lib.memcpyDtoHAsync, uintptr(unsafe.Pointer(unsafe.SliceData(to))), from, uintptr(len(to)), uintptr(s))
}

// Copy queues a copy within the device.
func (c *Context) Copy(to, from uintptr, size int64, s Stream) error {
	return c.call("cuMemcpyDtoDAsync", c.lib.memcpyDtoDAsync, to, from, uintptr(size), uintptr(s))
}

// Fill queues the writing of one byte everywhere.
func (c *Context) Fill(at uintptr, b byte, size int64, s Stream) error {
	return c.call("cuMemsetD8Async", c.lib.memsetD8Async, at, uintptr(b), uintptr(size), uintptr(s))
}

// Capture has a queue record what it is given instead of running it.
func (c *Context) Capture(s Stream) error {
	const threadLocal = 1 // other threads may allocate meanwhile
	return c.call("cuStreamBeginCapture", c.lib.streamBeginCapture, uintptr(s), threadLocal)
}

// Captured ends a recording and makes it launchable. nodes is how many operations
// it holds.
func (c *Context) Captured(s Stream) (g Graph, nodes int, err error) {
	var drawn uintptr
	if err := c.call("cuStreamEndCapture", c.lib.streamEndCapture, uintptr(s), uintptr(unsafe.Pointer(&drawn))); err != nil {
		return 0, 0, err
	}
	err = c.call("cuGraphGetNodes", c.lib.graphGetNodes, drawn, 0, uintptr(unsafe.Pointer(&nodes)))
	if err == nil {
		err = c.call("cuGraphInstantiate", c.lib.graphInstantiate, uintptr(unsafe.Pointer(&g)), drawn, noFlags)
	}
	if gone := c.call("cuGraphDestroy", c.lib.graphDestroy, drawn); err == nil {
		err = gone
	}
	return g, nodes, err
}

// LaunchGraph queues a recording.
func (c *Context) LaunchGraph(g Graph, s Stream) error {
	return c.call("cuGraphLaunch", c.lib.graphLaunch, uintptr(g), uintptr(s))
}

// CloseGraph releases a recording.
func (c *Context) CloseGraph(g Graph) error {
	return c.call("cuGraphExecDestroy", c.lib.graphExecDestroy, uintptr(g))
}
