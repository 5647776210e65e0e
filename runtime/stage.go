package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mnnconv/partition"
)

// stage is a ring of pinned memory, the source's, through which bytes go from one device
// to another: while the target empties a slot, the source fills the next. One goroutine
// uses it at a time.
type stage struct {
	source, target Device
	grow           func(bytes int64)

	mu    sync.Mutex // of what the slots wait for: others than who copies wait for copies
	slots [partition.StageSlots]staging
}

// staging is one slot.
type staging struct {
	memory HostBuffer
	full   Event // comes when the source has filled it
	empty  Event // comes when the target has emptied it; nil: it is
}

// copy moves bytes, of which there are some. The event it returns comes when they are
// there; what fails has ended before it returns.
func (s *stage) copy(dst, src View, waits []Event) (Event, error) {
	e := &passed{stage: s}
	pieces := int((src.Size + partition.StageBytes - 1) / partition.StageBytes)
	piece := func(v View, i int) View {
		at := int64(i) * partition.StageBytes
		return View{v.Buffer, v.Offset + at, min(partition.StageBytes, v.Size-at)}
	}
	slot := func(i int) *staging { return &s.slots[i%len(s.slots)] }
	fill := func(i int) error {
		from := piece(src, i)
		t := slot(i)
		if err := s.ready(t, from.Size); err != nil {
			return err
		}
		if i > 0 {
			waits = nil
		}
		full, err := s.source.Transfer(View{t.memory, 0, from.Size}, from, waits)
		if err != nil {
			return err
		}
		t.full = full
		if i == 0 {
			e.first = full
		}
		return nil
	}
	err := func() error {
		if err := fill(0); err != nil {
			return err
		}
		for i := range pieces {
			if i+1 < pieces { // its slot was emptied two pieces ago
				if err := fill(i + 1); err != nil {
					return err
				}
			}
			t, to := slot(i), piece(dst, i)
			empty, err := s.target.Transfer(to, View{t.memory, 0, to.Size}, []Event{t.full})
			if err != nil {
				return err
			}
			t.full = nil
			s.mu.Lock()
			t.empty = empty
			s.mu.Unlock()
			if e.last != nil {
				e.others = append(e.others, e.last)
			}
			e.last = empty
		}
		return nil
	}()
	if err != nil {
		s.settle()
		return nil, err
	}
	return e, nil
}

// ready waits until a slot is empty and gives it memory.
func (s *stage) ready(t *staging, size int64) error {
	if e := s.emptied(t); e != nil {
		if err := e.Wait(context.Background()); err != nil {
			return err
		}
	}
	if t.memory != nil && t.memory.Size() >= size {
		return nil
	}
	if err := s.release(t); err != nil {
		return err
	}
	b, err := s.source.Alloc(size, PinnedHost)
	if err != nil {
		return err
	}
	h, ok := b.(HostBuffer)
	if !ok {
		return errors.Join(fmt.Errorf("%w: pinned memory of %s is not the host's", ErrAddress, b.Space()), b.Close())
	}
	t.memory = h
	s.grow(size)
	return nil
}

// emptied returns the event of a slot that may be under way, which is the caller's to
// wait for from now on.
func (s *stage) emptied(t *staging) Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := t.empty
	t.empty = nil
	return e
}

// settle waits until nothing is under way. What fails then has been told, or is the
// copy's that failed before.
func (s *stage) settle() {
	for i := range s.slots {
		t := &s.slots[i]
		for _, e := range []Event{t.full, s.emptied(t)} {
			if e != nil {
				_ = e.Wait(context.Background())
			}
		}
		t.full = nil
	}
}

func (s *stage) release(t *staging) error {
	if t.memory == nil {
		return nil
	}
	b := t.memory
	t.memory = nil
	s.grow(-b.Size())
	return b.Close()
}

// close releases the ring.
func (s *stage) close() error {
	s.settle()
	var errs []error
	for i := range s.slots {
		errs = append(errs, s.release(&s.slots[i]))
	}
	return errors.Join(errs...)
}

// passed is a copy in pieces: from the first one's leaving the source to the last one's
// arrival.
type passed struct {
	stage       *stage
	first, last Event
	others      []Event // of the pieces before the last, at the target
}

func (e *passed) Wait(ctx context.Context) error {
	for _, o := range e.others {
		if err := e.await(ctx, o); err != nil {
			return err
		}
	}
	return e.await(ctx, e.last)
}

// await waits for one piece, whose slot is empty then.
func (e *passed) await(ctx context.Context, o Event) error {
	err := o.Wait(ctx)
	if ctx.Err() != nil {
		return err
	}
	e.stage.mu.Lock()
	defer e.stage.mu.Unlock()
	for i := range e.stage.slots {
		if t := &e.stage.slots[i]; t.empty == o {
			t.empty = nil
		}
	}
	return err
}

func (e *passed) Times() (start, end time.Time, ok bool) {
	start, _, a := e.first.Times()
	_, end, b := e.last.Times()
	return start, end, a && b
}
