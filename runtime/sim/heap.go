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

// heap is the memory of one device. An allocation is known by a number that is
// never used again.
type heap struct {
	space graph.Space
	limit int64

	mu    sync.Mutex
	next  uint64
	used  int64
	alive map[uint64][]byte // with guard zones
}

func newHeap(space graph.Space, limit int64) *heap {
	return &heap{space: space, limit: limit, alive: map[uint64][]byte{}}
}

func (h *heap) alloc(size int64) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if size < 0 || h.used+size > h.limit {
		return 0, fmt.Errorf("%w: %s has %d bytes free of %d, %d are needed", runtime.ErrMemory, h.space, h.limit-h.used, h.limit, size)
	}
	mem := make([]byte, size+2*guard)
	fill(mem, guardByte)
	fill(mem[guard:guard+size], poisonFresh)
	h.next++
	h.used += size
	h.alive[h.next] = mem
	return h.next, nil
}

func (h *heap) bytes(id uint64) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	mem, ok := h.alive[id]
	if !ok {
		return nil, fmt.Errorf("%w: buffer %d in %s is used after its release", runtime.ErrAddress, id, h.space)
	}
	return mem[guard : len(mem)-guard : len(mem)-guard], nil
}

func (h *heap) release(id uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	mem, ok := h.alive[id]
	if !ok {
		return fmt.Errorf("%w: buffer %d in %s is released twice", runtime.ErrAddress, id, h.space)
	}
	delete(h.alive, id)
	h.used -= int64(len(mem) - 2*guard)
	err := h.check(id, mem)
	fill(mem, poisonRelease)
	return err
}

// checkGuards looks at every allocation's guard zones.
func (h *heap) checkGuards() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for id, mem := range h.alive {
		errs = append(errs, h.check(id, mem))
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

// close reports what was never released.
func (h *heap) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.alive) > 0 {
		return fmt.Errorf("%w: %d buffers in %s were never released", runtime.ErrAddress, len(h.alive), h.space)
	}
	return nil
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}
