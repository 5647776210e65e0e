package host

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs a kernel's parts on several processors. The caller takes part. A
// pool belongs to one device; a nil pool runs everything on the caller.
type Pool struct {
	workers int
	work    chan task
	once    sync.Once
}

type task struct {
	part *part
}

type part struct {
	f    func(i int)
	n    int64
	next atomic.Int64
	wg   sync.WaitGroup
}

// NewPool starts a pool of n processors' width; n < 1 means all that the process
// may use (GOMAXPROCS, which follows the cgroup's limit).
func NewPool(n int) *Pool {
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{workers: n, work: make(chan task)}
	for range n - 1 {
		go func() {
			for t := range p.work {
				t.part.run()
				t.part.wg.Done()
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
	return p.workers
}

// Run calls f(0) … f(n-1), each once, on any worker in any order, and returns
// when all are done. Parts should do at least some ten microseconds of work.
func (p *Pool) Run(n int, f func(i int)) {
	if p == nil || p.workers == 1 || n <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	t := &part{f: f, n: int64(n)}
	for range min(p.workers, n) - 1 {
		t.wg.Add(1)
		select {
		case p.work <- task{t}:
		default: // every worker is busy with another caller's parts
			t.wg.Done()
		}
	}
	t.run()
	t.wg.Wait()
}

func (t *part) run() {
	for {
		i := t.next.Add(1) - 1
		if i >= t.n {
			return
		}
		t.f(int(i))
	}
}

// Close ends the workers; the pool must be idle.
func (p *Pool) Close() {
	if p != nil {
		p.once.Do(func() { close(p.work) })
	}
}
