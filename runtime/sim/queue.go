package sim

import (
	"context"
	goruntime "runtime"
	"time"

	"mnnconv/runtime"
)

// command is one entry of a device's in-order queue, and its event.
type command struct {
	d     *Device
	seq   uint64 // from 1
	waits []runtime.Event
	uses  []*buffer // that nobody may release before it ends
	cost  time.Duration
	do    func() error

	done       chan struct{} // closed at the end; what follows is written before
	err        error
	start, end time.Time
}

// enqueue takes a command into the queue. Its buffers are marked as in use by the
// caller already.
func (d *Device) enqueue(c *command) {
	c.d, c.done = d, make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	c.seq = d.last
	d.queue = append(d.queue, c)
	d.changed.Broadcast()
}

// want lets the queue run up to a command, though it were held back.
func (d *Device) want(seq uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if seq > d.wanted {
		d.wanted = seq
		d.changed.Broadcast()
	}
}

// work runs the queue until the device is closed.
func (d *Device) work() {
	defer close(d.stopped)
	for c := d.take(); c != nil; c = d.take() {
		c.run()
	}
}

// take returns the next command when it may run, or nil at the end.
func (d *Device) take() *command {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) == 0 {
		if d.closing {
			return nil
		}
		d.changed.Wait()
	}
	c := d.queue[0]
	n := copy(d.queue, d.queue[1:])
	d.queue[n] = nil
	d.queue = d.queue[:n]
	if d.random == nil {
		return c
	}
	switch turns := d.random.IntN(8); {
	case turns < 4: // held back
		for c.seq > d.wanted && !d.closing {
			d.changed.Wait()
		}
	default:
		d.mu.Unlock()
		for range turns - 4 {
			goruntime.Gosched()
		}
		d.mu.Lock()
	}
	return c
}

func (c *command) run() {
	ready := c.d.clock
	for _, w := range c.waits {
		if err := await(w); err != nil && c.err == nil {
			c.err = err
		}
		if _, end, ok := w.Times(); ok && end.After(ready) {
			ready = end
		}
	}
	c.waits = nil
	if c.d.config.Virtual {
		c.start = ready
	} else {
		c.start = time.Now()
		if c.cost > 0 {
			time.Sleep(c.cost)
		}
	}
	if c.err == nil {
		c.err = c.do()
	}
	if c.end = c.start.Add(c.cost); !c.d.config.Virtual {
		c.end = time.Now()
	}
	c.d.clock = c.end
	for _, b := range c.uses {
		b.heap.unuse(b.id)
	}
	c.uses, c.do = nil, nil
	close(c.done)
}

// await waits on the device's side, where no call is counted.
func await(e runtime.Event) error {
	c, ok := e.(*command)
	if !ok {
		return e.Wait(context.Background())
	}
	c.d.want(c.seq)
	<-c.done
	return c.err
}

// Wait returns when the command has ended, with its error, or when ctx has: then
// the command is still under way.
func (c *command) Wait(ctx context.Context) error {
	fault := c.d.count(Wait)
	c.d.want(c.seq)
	select {
	case <-c.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.err != nil {
		return c.err
	}
	return fault
}

// Times returns when the command ran, on the device's clock.
func (c *command) Times() (start, end time.Time, ok bool) {
	select {
	case <-c.done:
		return c.start, c.end, true
	default:
		return time.Time{}, time.Time{}, false
	}
}
