package sim

import (
	"errors"
	"fmt"
	"sync"

	"mnnconv/graph"
	"mnnconv/runtime"
)

// Memory is filled with poison when it is handed out and when it is released,
// and stands between two guard zones.
const (
	guard         = 64 // bytes on each side
	poisonFresh   = 0xCB
	poisonRelease = 0xDD
	guardByte     = 0xA5
)

// heap is one memory of a device: its own, or what it pins of the host's. An
// allocation is known by a number that is never used again.
type heap struct {
	space  graph.Space
	limit  int64 // bytes in all; 0: none
	single int64 // bytes of one allocation; 0: none

	mu    sync.Mutex
	next  uint64
	used  int64
	high  int64
	alive map[uint64]*block
}

type block struct {
	mem  []byte // with guard zones
	busy int    // commands under way that use it
}

func (b *block) bytes() []byte { return b.mem[guard : len(b.mem)-guard : len(b.mem)-guard] }

func newHeap(space graph.Space, limit, single int64) *heap {
	return &heap{space: space, limit: limit, single: single, alive: map[uint64]*block{}}
}

func (h *heap) alloc(size int64) (*buffer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case size < 0:
		return nil, fmt.Errorf("%w: allocation of %d bytes in %s", runtime.ErrMemory, size, h.space)
	case h.single > 0 && size > h.single:
		return nil, fmt.Errorf("%w: %s allocates %d bytes at once, %d are needed", runtime.ErrMemory, h.space, h.single, size)
	case h.limit > 0 && size > h.limit-h.used:
		return nil, fmt.Errorf("%w: %s has %d bytes free of %d, %d are needed", runtime.ErrMemory, h.space, h.limit-h.used, h.limit, size)
	}
	b := &block{mem: make([]byte, size+2*guard)}
	fill(b.mem, guardByte)
	fill(b.bytes(), poisonFresh)
	h.next++
	h.used += size
	h.high = max(h.high, h.used)
	h.alive[h.next] = b
	return &buffer{h, h.next, size}, nil
}

// use returns a buffer's bytes and keeps them from being released until unuse.
func (h *heap) use(id uint64) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, ok := h.alive[id]
	if !ok {
		return nil, fmt.Errorf("%w: buffer %d in %s is used after its release", runtime.ErrAddress, id, h.space)
	}
	b.busy++
	return b.bytes(), nil
}

func (h *heap) unuse(id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b := h.alive[id]; b != nil {
		b.busy--
	}
}

func (h *heap) bytes(id uint64) ([]byte, error) {
	mem, err := h.use(id)
	if err == nil {
		h.unuse(id)
	}
	return mem, err
}

func (h *heap) release(id uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	b, ok := h.alive[id]
	if !ok {
		return fmt.Errorf("%w: buffer %d in %s is released twice", runtime.ErrAddress, id, h.space)
	}
	delete(h.alive, id)
	h.used -= int64(len(b.bytes()))
	if b.busy > 0 { // left as it is: somebody may be writing to it
		return fmt.Errorf("%w: buffer %d in %s is released while a command uses it", runtime.ErrAddress, id, h.space)
	}
	err := h.check(id, b.mem)
	fill(b.mem, poisonRelease)
	return err
}

// checkGuards looks at every allocation's guard zones.
func (h *heap) checkGuards() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for id, b := range h.alive {
		if err := h.check(id, b.mem); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (h *heap) check(id uint64, mem []byte) error {
	for i := range guard {
		if mem[i] != guardByte || mem[len(mem)-1-i] != guardByte {
			return fmt.Errorf("%w: buffer %d in %s was written out of bounds", runtime.ErrAddress, id, h.space)
		}
	}
	return nil
}

func (h *heap) stats() (used, high int64, alive int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.used, h.high, len(h.alive)
}

// close reports what was never released.
func (h *heap) close() error {
	if used, _, n := h.stats(); n > 0 {
		return fmt.Errorf("%w: %d buffers of %d bytes in %s were never released", runtime.ErrAddress, n, used, h.space)
	}
	return nil
}

// buffer is a handle: where the bytes are, only the heap knows.
type buffer struct {
	heap *heap
	id   uint64
	size int64
}

func (b *buffer) Space() graph.Space { return b.heap.space }
func (b *buffer) Size() int64        { return b.size }
func (b *buffer) Close() error       { return b.heap.release(b.id) }

// pinned is host memory that the device transfers to and from.
type pinned struct{ *buffer }

func (p pinned) Bytes() ([]byte, error) { return p.heap.bytes(p.id) }

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}
