package serve

import (
	"context"
	"errors"
	"sync"

	"mnnconv/models"
)

// errFull: as many requests wait as may.
var errFull = errors.New("the queue is full")

// slot is a session that answers one request at a time.
type slot struct {
	session models.Session
	held    []mark // of the turns whose tokens its state holds
	used    int64  // when it was last used, counted in uses
}

// slots hands out sessions. Requests wait in the order in which they came.
type slots struct {
	mu      sync.Mutex
	free    []*slot
	all     int
	uses    int64
	waiting []chan *slot // each of capacity 1
	most    int
	idle    sync.Cond // on mu: all slots are free
}

func newSlots(sessions []models.Session, queue int) *slots {
	s := &slots{all: len(sessions), most: queue}
	s.idle.L = &s.mu
	for _, session := range sessions {
		s.free = append(s.free, &slot{session: session})
	}
	return s
}

// take waits for a slot; of several free ones it is that which holds most of the
// conversation, or else the one that has rested longest. errFull: as many wait as may.
func (s *slots) take(ctx context.Context, turns []mark) (*slot, error) {
	s.mu.Lock()
	if len(s.free) > 0 {
		best := 0
		for i, x := range s.free[1:] {
			if a, b := shared(x.held, turns), shared(s.free[best].held, turns); a > b || a == b && x.used < s.free[best].used {
				best = i + 1
			}
		}
		x := s.free[best]
		s.free = append(s.free[:best], s.free[best+1:]...)
		s.mu.Unlock()
		return x, nil
	}
	if len(s.waiting) >= s.most {
		s.mu.Unlock()
		return nil, errFull
	}
	mine := make(chan *slot, 1)
	s.waiting = append(s.waiting, mine)
	s.mu.Unlock()
	select {
	case x := <-mine:
		return x, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for i, w := range s.waiting {
		if w == mine {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	select {
	case x := <-mine: // it came at the same time
		s.give(x, x.held)
	default:
	}
	return nil, context.Cause(ctx)
}

// give hands a slot back, which now holds the given turns.
func (s *slots) give(x *slot, held []mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses++
	x.held, x.used = held, s.uses
	if len(s.waiting) > 0 {
		s.waiting[0] <- x
		s.waiting = s.waiting[1:]
		return
	}
	if s.free = append(s.free, x); len(s.free) == s.all {
		s.idle.Broadcast()
	}
}

// drain waits until nobody has a slot.
func (s *slots) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.free) < s.all {
		s.idle.Wait()
	}
}

// load returns how many slots are busy and how many requests wait.
func (s *slots) load() (busy, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all - len(s.free), len(s.waiting)
}

func shared(a, b []mark) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
