package gpu

import (
	"errors"
	goruntime "runtime"
	"sync"
)

// ring is pinned memory through which bytes go that the driver cannot reach by
// itself: while one slot is being copied by the device, the host fills the next.
type ring struct {
	slots [ringSlots]slot
	next  int
}

type slot struct {
	memory Pinned
	busy   Mark // comes when the device has let go of it; nil: it has
}

const (
	ringSlots = 3
	slotBytes = 8 << 20
)

// spread copies bytes by as many processors as that is worth: one of them reads half as
// fast as the device takes it, and a mapped file a tenth, whose pages it has to find.
func spread(to, from []byte) int {
	const least = 512 << 10 // bytes for each
	n := min(len(to), len(from))
	workers := min(n/least, goruntime.GOMAXPROCS(0), 8)
	if workers < 2 {
		return copy(to, from)
	}
	each := (n/workers + 4095) &^ 4095
	var all sync.WaitGroup
	for at := 0; at < n; at += each {
		all.Go(func() { copy(to[at:min(at+each, n)], from[at:min(at+each, n)]) })
	}
	all.Wait()
	return n
}

// take returns the next slot when it is free.
func (d *Device) take() (*slot, error) {
	s := &d.ring.slots[d.ring.next]
	d.ring.next = (d.ring.next + 1) % ringSlots
	if s.memory == nil {
		m, err := d.driver.Pin(slotBytes)
		if err != nil {
			return nil, err
		}
		s.memory = m
	}
	return s, s.settle(d)
}

// settle waits until the device has let go of the slot.
func (s *slot) settle(d *Device) error {
	if s.busy == nil {
		return nil
	}
	m := s.busy
	s.busy = nil
	return errors.Join(d.wait(m), m.Close())
}

// upload copies bytes to the device; they are the caller's again when it returns.
func (d *Device) upload(dst Memory, at int64, b []byte) error {
	for len(b) > 0 {
		s, err := d.take()
		if err != nil {
			return err
		}
		n := spread(s.memory.Bytes()[:slotBytes], b)
		if err := d.driver.Upload(dst, at, s.memory, 0, int64(n)); err != nil {
			return err
		}
		if s.busy, err = d.driver.Mark(); err != nil {
			return err
		}
		at, b = at+int64(n), b[n:]
	}
	return d.driver.Flush()
}

// download copies bytes from the device; they are there when it returns. While the
// host copies one slot, the device fills the next.
func (d *Device) download(b []byte, src Memory, at int64) error {
	var last *slot
	var rest []byte // where the last slot's bytes go
	for len(b) > 0 || last != nil {
		var s *slot
		var here []byte
		if len(b) > 0 {
			var err error
			if s, err = d.take(); err != nil {
				return err
			}
			here, b = b[:min(len(b), slotBytes)], b[min(len(b), slotBytes):]
			if err := d.driver.Download(s.memory, 0, src, at, int64(len(here))); err != nil {
				return err
			}
			at += int64(len(here))
			if s.busy, err = d.driver.Mark(); err != nil {
				return err
			}
		}
		if last != nil {
			if err := last.settle(d); err != nil {
				return err
			}
			spread(rest, last.memory.Bytes())
		}
		last, rest = s, here
	}
	return nil
}

func (r *ring) close(d *Device) error {
	var errs []error
	for i := range r.slots {
		s := &r.slots[i]
		errs = append(errs, s.settle(d))
		if s.memory != nil {
			errs = append(errs, s.memory.Close())
		}
		s.memory = nil
	}
	return errors.Join(errs...)
}
