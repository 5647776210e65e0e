package host

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs a kernel's parts on several processors. The caller takes part. A
// pool belongs to one device; a nil pool runs everything on the caller.
type Pool struct {
	workers []Worker // the caller's, then one for each goroutine
	work    chan int // indexes of workers that are asked to help, never more than there are
	taken   sync.Mutex
	run     run // of the caller that holds taken
	once    sync.Once
}

// Parts is work that falls into parts which may run at once, in any order.
type Parts interface {
	// Part does part i. Only one part at a time gets w.
	Part(w *Worker, i int)
}

// Worker is one processor's share of a pool.
type Worker struct {
	floats []float32
	_      [64]byte // its neighbour is written by another processor
}

// Floats returns scratch of n numbers, whatever they are, that a part may use
// until it returns. It is one buffer, which grows once: a part that needs two
// asks for both together.
func (w *Worker) Floats(n int) []float32 {
	if n > len(w.floats) {
		w.floats = make([]float32, n)
	}
	return w.floats[:n:n]
}

// NewPool starts a pool of n processors' width; n < 1 means all that the process
// may use (GOMAXPROCS, which follows the cgroup's limit).
func NewPool(n int) *Pool {
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{workers: make([]Worker, n), work: make(chan int, n)}
	for range n - 1 {
		go func() {
			for i := range p.work {
				p.run.help(&p.workers[i])
				p.run.helpers.Done()
			}
		}()
	}
	return p
}

// Workers returns how many parts run at once.
func (p *Pool) Workers() int {
	if p == nil {
		return 1
	}
	return len(p.workers)
}

// Run does parts 0 to n-1, each once, and returns when all are done, or with the
// context's error when that ended before. A part should be at least some ten
// microseconds of work, and not so much that it delays a cancellation.
func (p *Pool) Run(ctx context.Context, n int, parts Parts) error {
	if p == nil || !p.taken.TryLock() { // taken: another caller keeps the workers busy
		r := run{ctx: ctx, parts: parts, n: int64(n)}
		r.help(&Worker{})
		return r.end()
	}
	defer p.taken.Unlock()
	r := &p.run
	r.ctx, r.parts, r.n = ctx, parts, int64(n)
	r.next.Store(0)
	r.skipped.Store(false)
	for i := 1; i < min(len(p.workers), n); i++ {
		r.helpers.Add(1)
		p.work <- i
	}
	r.help(&p.workers[0])
	r.helpers.Wait()
	return r.end()
}

// run is one call of Pool.Run.
type run struct {
	ctx     context.Context
	parts   Parts
	n       int64
	next    atomic.Int64
	skipped atomic.Bool
	helpers sync.WaitGroup
}

// help does parts until none is left.
func (r *run) help(w *Worker) {
	for {
		i := r.next.Add(1) - 1
		if i >= r.n {
			return
		}
		if r.ctx.Err() != nil {
			r.skipped.Store(true)
			return
		}
		r.parts.Part(w, int(i))
	}
}

// end lets go of the parts and returns why some were skipped.
func (r *run) end() error {
	ctx := r.ctx
	r.ctx, r.parts = nil, nil
	if r.skipped.Load() {
		return ctx.Err()
	}
	return nil
}

// Close ends the workers; the pool must be idle.
func (p *Pool) Close() {
	if p != nil {
		p.once.Do(func() { close(p.work) })
	}
}
