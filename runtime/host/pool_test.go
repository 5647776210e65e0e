package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counts counts how often each part ran, and fails where two share a worker's
// scratch at once.
type counts struct {
	t      *testing.T
	n      []atomic.Int32
	cancel func()
}

func (c *counts) Part(w *Worker, i int) {
	s := w.Floats(8)
	for range 100 {
		s[3] = float32(i)
		if s[3] != float32(i) {
			c.t.Errorf("part %d shares its scratch", i)
		}
	}
	c.n[i].Add(1)
	if c.cancel != nil {
		c.cancel()
	}
}

func TestPoolRunsEveryPartOnce(t *testing.T) {
	four := NewPool(4)
	defer four.Close()
	for _, p := range []*Pool{nil, four} {
		for n := range 40 {
			c := &counts{t: t, n: make([]atomic.Int32, n)}
			if err := p.Run(context.Background(), n, c); err != nil {
				t.Fatal(err)
			}
			for i := range c.n {
				if k := c.n[i].Load(); k != 1 {
					t.Errorf("%d workers: part %d of %d ran %d times", p.Workers(), i, n, k)
				}
			}
		}
	}
}

// stretched counts parts as counts does, and stretches of more than one.
type stretched struct {
	counts
	long atomic.Int32
}

func (s *stretched) Stretch(w *Worker, from, to int) {
	if to-from > 1 {
		s.long.Add(1)
	}
	for i := from; i < to; i++ {
		s.Part(w, i)
	}
}

func TestPoolRunsStretchesOnce(t *testing.T) {
	four := NewPool(4)
	defer four.Close()
	for _, p := range []*Pool{nil, four} {
		for n := range 40 {
			s := &stretched{counts: counts{t: t, n: make([]atomic.Int32, n)}}
			if err := p.RunStretches(context.Background(), n, s); err != nil {
				t.Fatal(err)
			}
			for i := range s.n {
				if k := s.n[i].Load(); k != 1 {
					t.Errorf("%d workers: part %d of %d ran %d times", p.Workers(), i, n, k)
				}
			}
			if n > 16 && s.long.Load() == 0 {
				t.Errorf("%d workers: %d parts one by one", p.Workers(), n)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		s := &stretched{counts: counts{t: t, n: make([]atomic.Int32, 1000), cancel: cancel}}
		if err := p.RunStretches(ctx, len(s.n), s); !errors.Is(err, context.Canceled) {
			t.Errorf("%d workers: got %v, want %v", p.Workers(), err, context.Canceled)
		}
	}
}

func TestPoolStopsWithItsContext(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	ctx, cancel := context.WithCancel(context.Background())
	c := &counts{t: t, n: make([]atomic.Int32, 1000), cancel: cancel}
	if err := p.Run(ctx, len(c.n), c); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	ran := 0
	for i := range c.n {
		ran += int(c.n[i].Load())
	}
	if ran > 2 {
		t.Errorf("%d parts ran after the context had ended, want at most one a worker", ran)
	}
}

func TestPoolDoesNotAllocate(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	c := &counts{t: t, n: make([]atomic.Int32, 16)}
	if n := testing.AllocsPerRun(100, func() { _ = p.Run(context.Background(), len(c.n), c) }); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

// Callers that meet do all of their own parts.
func TestPoolIsShared(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for n := range 200 {
				c := &counts{t: t, n: make([]atomic.Int32, n%9)}
				if err := p.Run(context.Background(), len(c.n), c); err != nil {
					t.Error(err)
				}
				for i := range c.n {
					if k := c.n[i].Load(); k != 1 {
						t.Errorf("part %d of %d ran %d times", i, len(c.n), k)
					}
				}
			}
		})
	}
	wait.Wait()
}

// Helpers that were parked come back.
func TestPoolWakes(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	for range 20 {
		for i := 0; p.asleep.Load() < 2; i++ {
			if i > 10_000 {
				t.Fatal("helpers are not parked")
			}
			time.Sleep(time.Millisecond)
		}
		for i := 0; p.asleep.Load() > 0; i++ {
			c := &counts{t: t, n: make([]atomic.Int32, 8)}
			if err := p.Run(context.Background(), len(c.n), c); err != nil {
				t.Fatal(err)
			}
			if i > 1_000_000 {
				t.Fatal("helpers are not woken")
			}
		}
	}
}

// spinning is work of n additions a part.
type spinning struct{ n int }

func (s *spinning) Part(w *Worker, _ int) {
	v := w.Floats(1)
	for range s.n {
		v[0] += 1
	}
}

// A region of two parts, beside the same work on the caller alone.
func BenchmarkPool(b *testing.B) {
	for _, workers := range []int{1, 2} {
		p := NewPool(workers)
		for _, n := range []int{0, 10_000} {
			b.Run(fmt.Sprintf("%d workers/%d", workers, n), func(b *testing.B) {
				work := &spinning{n}
				for b.Loop() {
					_ = p.Run(context.Background(), 2, work)
				}
			})
		}
		p.Close()
	}
}
