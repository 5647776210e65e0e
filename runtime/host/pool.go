package host

import (
	"context"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"mnnconv/runtime/host/internal/simd"
)

// Pool runs a kernel's parts on several processors. The caller takes part. Several
// sessions may share one; a nil pool runs everything on the caller.
//
// A kernel is tens of microseconds of work, and waking a thread takes longer. So
// helpers spin between kernels, and are parked when there has been none for a while.
// Once they have spun for a moment they let others run that wait for a processor: who
// serves a client, say. Each worker has a run of neighbouring parts to
// start with, so that it reads weights in order, and then helps the others with
// theirs.
type Pool struct {
	workers []Worker
	taken   sync.Mutex // by the caller whose run the helpers do
	run     run
	_       [64]byte
	epoch   atomic.Uint64 // of runs
	_       [64]byte
	gate    atomic.Int64 // helpers in the run, less closed once it takes no more
	_       [64]byte
	asleep  atomic.Int32
	wake    chan struct{}
	crowded atomic.Int64 // until when callers run alone, in nanoseconds since start
	start   time.Time
	spare   sync.Pool // of *Worker, for callers who meet another's run
	late    int       // runs in a row for whose helpers the caller waited as long as it worked
	closing atomic.Bool
	ended   sync.WaitGroup
}

const (
	closed = -1 << 32
	// spin is how long helpers wait for the next run before they are parked: longer
	// than between two tokens.
	spin = 3 * time.Millisecond
	// moment is how long helpers wait before they let others run, and again: longer than
	// between two kernels of a token.
	moment = 50 * time.Microsecond
	// apart is how long callers that met each other run on one processor each.
	apart = 20 * time.Millisecond
	// patience is how long a caller spins for helpers that are late.
	patience = 50 * time.Microsecond
)

// Parts is work that falls into parts which may run at once, in any order.
type Parts interface {
	// Part does part i. Only one part at a time gets w.
	Part(w *Worker, i int)
}

// Stretches is work whose neighbouring parts are done faster as one. A worker takes half of
// what is left of a share each time, so that all workers end at about the same time.
type Stretches interface {
	// Stretch does the parts from from to to-1.
	Stretch(w *Worker, from, to int)
}

// work is one of the two.
type work struct {
	parts Parts
	long  Stretches
}

func (x work) do(w *Worker, from, to int) {
	if x.long != nil {
		x.long.Stretch(w, from, to)
		return
	}
	for i := from; i < to; i++ {
		x.parts.Part(w, i)
	}
}

// Worker is one processor's share of a pool.
type Worker struct {
	floats []float32
	bytes  []uint8
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

// Bytes is a second buffer, of bytes.
func (w *Worker) Bytes(n int) []uint8 {
	if n > len(w.bytes) {
		w.bytes = make([]uint8, n)
	}
	return w.bytes[:n:n]
}

// NewPool starts a pool of n processors' width; n < 1 means all that the process
// may use (GOMAXPROCS, which follows the cgroup's limit).
func NewPool(n int) *Pool {
	if n < 1 {
		n = goruntime.GOMAXPROCS(0)
	}
	p := &Pool{workers: make([]Worker, n), wake: make(chan struct{}, n), start: time.Now()}
	p.run.shares = make([]share, n)
	p.gate.Store(closed)
	p.spare.New = func() any { return new(Worker) }
	for i := 1; i < n; i++ {
		p.ended.Add(1)
		go p.help(i)
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
//
// While several callers run at once, each has one processor: helpers would take it
// from the others. So it is while helpers are late, because another process has
// their processor: a run is as slow as its last part.
func (p *Pool) Run(ctx context.Context, n int, parts Parts) error {
	return p.do(ctx, n, work{parts: parts})
}

// RunStretches is [Pool.Run] of parts that are done in stretches.
func (p *Pool) RunStretches(ctx context.Context, n int, long Stretches) error {
	return p.do(ctx, n, work{long: long})
}

func (p *Pool) do(ctx context.Context, n int, x work) error {
	if p == nil {
		return alone(ctx, n, x, &Worker{})
	}
	if !p.taken.TryLock() {
		p.crowded.Store(int64(time.Since(p.start) + apart))
		w := p.spare.Get().(*Worker)
		defer p.spare.Put(w)
		return alone(ctx, n, x, w)
	}
	defer p.taken.Unlock()
	began := time.Since(p.start)
	if n < 2 || len(p.workers) < 2 || p.isCrowded(began) {
		return alone(ctx, n, x, &p.workers[0])
	}
	r := &p.run
	r.ctx, r.work = ctx, x
	r.skipped.Store(false)
	for i := range r.shares {
		s := &r.shares[i]
		s.end = int64(n * (i + 1) / len(r.shares))
		s.next.Store(int64(n * i / len(r.shares)))
	}
	p.gate.Store(0)
	p.epoch.Add(1)
	for range min(p.asleep.Load(), int32(n-1)) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	r.help(&p.workers[0], 0)
	p.wait(began)
	r.ctx, r.work = nil, work{}
	if r.skipped.Load() {
		return ctx.Err()
	}
	return nil
}

// wait closes the run, which began then, to further helpers, and waits for those that
// are at their last parts.
func (p *Pool) wait(began time.Duration) {
	p.gate.Add(closed)
	var worked time.Duration // by the caller
	for n := 1; p.gate.Load() != closed; n++ {
		if simd.Pause(); n%64 > 0 {
			continue
		}
		now := time.Since(p.start)
		if worked == 0 {
			worked = now - began
		}
		if waited := now - began - worked; waited > 2*worked+4*patience {
			if p.late++; p.late > 1 { // longer each time that it happens again
				p.crowded.Store(int64(now + apart<<min(p.late-2, 4)))
			}
			for p.gate.Load() != closed {
				time.Sleep(patience)
			}
			return
		}
	}
	p.late = 0
}

// isCrowded tells whether callers met, or helpers were late, a short time before now.
func (p *Pool) isCrowded(now time.Duration) bool { return now < time.Duration(p.crowded.Load()) }

// alone does all parts on the caller.
func alone(ctx context.Context, n int, x work, w *Worker) error {
	s := share{end: int64(n)}
	for {
		from, to := s.take(x.long != nil)
		if from == to {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		x.do(w, from, to)
	}
}

// help is a helper's life.
func (p *Pool) help(i int) {
	defer p.ended.Done()
	var done uint64 // the last run it saw
	for {
		e, ok := p.next(done)
		if !ok {
			return
		}
		done = e
		if p.enter() {
			p.run.help(&p.workers[i], i)
			p.gate.Add(-1)
		}
	}
}

// next waits for a run that is not the one before; ok is false when there is none
// any more.
func (p *Pool) next(before uint64) (epoch uint64, ok bool) {
	since, yielded := time.Now(), time.Duration(0)
	for n := 1; ; n++ {
		if e := p.epoch.Load(); e != before {
			return e, true
		}
		simd.Pause()
		if n%64 > 0 {
			continue
		}
		if p.closing.Load() {
			return 0, false
		}
		if waited := time.Since(since); waited < spin && !p.isCrowded(time.Since(p.start)) {
			if waited > yielded+moment {
				goruntime.Gosched()
				yielded = time.Since(since)
			}
			continue
		}
		p.asleep.Add(1)
		if p.epoch.Load() == before && !p.closing.Load() { // else the wake may have been missed
			<-p.wake
		}
		p.asleep.Add(-1)
		since, yielded = time.Now(), 0
	}
}

// enter makes a helper part of the run, unless that is over.
func (p *Pool) enter() bool {
	for {
		n := p.gate.Load()
		if n < 0 {
			return false
		}
		if p.gate.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// run is one call of Pool.Run.
type run struct {
	work
	ctx     context.Context
	skipped atomic.Bool
	shares  []share // of each worker
}

// share is parts next to end that a worker does first.
type share struct {
	next atomic.Int64
	end  int64
	_    [48]byte
}

// take returns the next part that nobody has taken, or the first half of those that are left.
// There are none where from is to.
func (s *share) take(half bool) (from, to int) {
	for {
		n := s.next.Load()
		if n >= s.end {
			return 0, 0
		}
		some := int64(1)
		if half {
			some = (s.end - n + 1) / 2
		}
		if s.next.CompareAndSwap(n, n+some) {
			return int(n), int(n + some)
		}
	}
}

// help does the parts of worker i, and then those that are left of others.
func (r *run) help(w *Worker, i int) {
	for j := range r.shares {
		s := &r.shares[(i+j)%len(r.shares)]
		for {
			from, to := s.take(r.long != nil)
			if from == to {
				break
			}
			if r.ctx.Err() != nil {
				r.skipped.Store(true)
				return
			}
			r.do(w, from, to)
		}
	}
}

// Close ends the helpers; the pool must be idle.
func (p *Pool) Close() {
	if p == nil || p.closing.Swap(true) {
		return
	}
	for range p.workers {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.ended.Wait()
}

// Shared is a pool that its users have together.
type Shared struct {
	mu    sync.Mutex
	pool  *Pool
	users int
}

// Open returns the pool; its first user says how wide it is, see [NewPool].
func (s *Shared) Open(n int) *Pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users++; s.users == 1 {
		s.pool = NewPool(n)
	}
	return s.pool
}

// Close is called by each user; the last one closes the pool.
func (s *Shared) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		s.pool.Close()
	}
}
