package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mnnconv/partition"
)

// stage is a ring of pinned memory through which bytes go from one device to another:
// while the target empties a slot, the source fills the next. One goroutine uses it at a
// time.
type stage struct {
	source, target Device
	grow           func(bytes int64)
	ways           []sharing // in which both may know the memory, but for those that failed

	mu    sync.Mutex // of what the slots wait for: others than who copies wait for copies
	slots [partition.StageSlots]staging
}

// sharing is who pins memory, and who adopts it.
type sharing struct {
	owner   Device
	adopter Adopter
	target  bool // the target adopts
}

// staging is one slot.
type staging struct {
	memory  HostBuffer // whoever's
	adopted HostBuffer // the same bytes as the other device knows them; nil: it does not
	from    HostBuffer // which of the two the source fills
	to      HostBuffer // and the target empties
	full    Event      // comes when the source has filled it
	empty   Event      // comes when the target has emptied it; nil: it is
}

func newStage(source, target Device, grow func(bytes int64)) *stage {
	s := &stage{source: source, target: target, grow: grow}
	if a, ok := target.(Adopter); ok {
		s.ways = append(s.ways, sharing{source, a, true})
	}
	if a, ok := source.(Adopter); ok {
		s.ways = append(s.ways, sharing{target, a, false})
	}
	return s
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
		full, err := s.source.Transfer(View{t.from, 0, from.Size}, from, waits)
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
			empty, err := s.target.Transfer(to, View{t.to, 0, to.Size}, []Event{t.full})
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
	if err := s.pin(t, size); err != nil {
		return err
	}
	s.grow(size)
	return nil
}

// pin gives a slot memory that both devices transfer to and from by themselves, if they
// can share any. Else it is the source's, and the target copies it to its own.
func (s *stage) pin(t *staging, size int64) error {
	for len(s.ways) > 0 {
		way := s.ways[0]
		own, err := pinnedOf(way.owner, size)
		if err != nil {
			return err
		}
		other, err := way.adopter.Adopt(own)
		if err == nil {
			t.memory, t.adopted, t.from, t.to = own, other, other, own
			if way.target {
				t.from, t.to = own, other
			}
			return nil
		}
		s.ways = s.ways[1:]
		if err := own.Close(); err != nil {
			return err
		}
	}
	own, err := pinnedOf(s.source, size)
	t.memory, t.from, t.to = own, own, own
	return err
}

func pinnedOf(d Device, size int64) (HostBuffer, error) {
	b, err := d.Alloc(size, PinnedHost)
	if err != nil {
		return nil, err
	}
	h, ok := b.(HostBuffer)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%w: pinned memory of %s is not the host's", ErrAddress, b.Space()), b.Close())
	}
	return h, nil
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
	own, other := t.memory, t.adopted
	t.memory, t.adopted, t.from, t.to = nil, nil, nil, nil
	s.grow(-own.Size())
	if other != nil {
		return errors.Join(other.Close(), own.Close())
	}
	return own.Close()
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

// Wait waits for every piece, whatever became of those before it: they use the same
// memory.
func (e *passed) Wait(ctx context.Context) error {
	var first error
	for _, o := range e.others {
		if err := e.await(ctx, o); err != nil && first == nil {
			first = err
		}
	}
	if err := e.await(ctx, e.last); first == nil {
		first = err
	}
	return first
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
