package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/host"
	"mnnconv/schemas/op"
)

// Device is a simulated device: two heaps and one in-order queue, which a
// goroutine of its own works off.
type Device struct {
	table   op.Table
	pool    *host.Pool
	backend *Backend
	space   graph.Space
	config  Config
	align   int64
	heap    *heap // its own memory
	pinned  *heap // of the host

	weights weights

	books sync.Mutex
	calls [calls]int
	moved int64

	mu      sync.Mutex
	changed *sync.Cond
	queue   []*command
	last    uint64 // number of the newest command
	wanted  uint64 // commands up to this one are not held back
	closing bool
	stopped chan struct{}
	random  *rand.Rand // nil: nothing is held back
	clock   time.Time  // the worker's: when the last command ended
}

func newDevice(b *Backend, p partition.Profile, c Config) *Device {
	d := &Device{table: b.Table, pool: b.pool.Open(b.Threads), backend: b, space: p.Space(), config: c, align: p.Align,
		heap: newHeap(p.Space(), p.Memory, p.MaxAlloc), pinned: newHeap(graph.Host, 0, 0),
		weights: weights{held: map[weightKey]*weight{}}, stopped: make(chan struct{}), clock: time.Now()}
	d.changed = sync.NewCond(&d.mu)
	if c.Seed != 0 {
		d.random = rand.New(rand.NewPCG(c.Seed, uint64(p.Name[len(p.Name)-1])))
	}
	go d.work()
	return d
}

// Close ends the queue and returns an error for what was never released.
func (d *Device) Close() error {
	d.mu.Lock()
	again := d.closing
	d.closing = true
	d.changed.Broadcast()
	d.mu.Unlock()
	if again {
		return fmt.Errorf("%w: %s is closed twice", runtime.ErrAddress, d.space)
	}
	<-d.stopped
	d.backend.pool.Close()
	return errors.Join(d.heap.close(), d.pinned.close())
}

// Alloc returns a handle for device memory, or pinned host memory.
func (d *Device) Alloc(size int64, kind runtime.MemoryKind) (runtime.Buffer, error) {
	if err := d.count(Alloc); err != nil {
		return nil, err
	}
	if kind == runtime.PinnedHost {
		b, err := d.pinned.alloc(size)
		if err != nil {
			return nil, err
		}
		return pinned{b}, nil
	}
	b, err := d.heap.alloc(size)
	if err != nil { // not a nil *buffer in an interface
		return nil, err
	}
	return b, nil
}

// Transfer queues a copy between this device's memory and host memory.
func (d *Device) Transfer(dst, src runtime.View, waits []runtime.Event) (runtime.Event, error) {
	if err := d.count(Transfer); err != nil {
		return nil, err
	}
	if dst.Size != src.Size {
		return nil, fmt.Errorf("%w: transfer of %d bytes into %d", runtime.ErrAddress, src.Size, dst.Size)
	}
	c := &command{waits: waits, cost: d.config.Transfer.of(src.Size), uses: make([]*buffer, 0, 2)}
	to, err := d.use(c, dst, "transfer")
	if err != nil {
		return nil, err
	}
	from, err := d.use(c, src, "transfer")
	if err != nil {
		c.unuse()
		return nil, err
	}
	c.do = func() error {
		copy(to, from)
		d.books.Lock()
		defer d.books.Unlock()
		d.moved += int64(len(to))
		return nil
	}
	d.enqueue(c)
	return c, nil
}

// use resolves a view of this device's memory or of host memory for a command.
func (d *Device) use(c *command, v runtime.View, what string) ([]byte, error) {
	space := d.space
	h, host := v.Buffer.(runtime.HostBuffer)
	if host {
		space = graph.Host
	}
	if err := v.Check(space, what); err != nil {
		return nil, err
	}
	var mem []byte
	var err error
	b := own(v.Buffer)
	switch {
	case b != nil:
		if mem, err = b.heap.use(b.id); err == nil {
			c.uses = append(c.uses, b)
		}
	case host:
		mem, err = h.Bytes()
	default:
		err = fmt.Errorf("%w: a buffer of another backend is used in %s", runtime.ErrAddress, d.space)
	}
	if err != nil {
		return nil, fmt.Errorf("value %q: %w", what, err)
	}
	return mem[v.Offset : v.Offset+v.Size : v.Offset+v.Size], nil
}

// own returns the handle behind a buffer of this backend, or nil.
func own(b runtime.Buffer) *buffer {
	switch b := b.(type) {
	case *buffer:
		return b
	case pinned:
		return b.buffer
	}
	return nil
}

func (c *command) unuse() {
	for _, b := range c.uses {
		b.heap.unuse(b.id)
	}
	c.uses = nil
}
