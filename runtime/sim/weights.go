package sim

import (
	"sync"

	"mnnconv/graph"
)

// weights are the constants that a device holds, each once however many programs
// read it.
type weights struct {
	mu   sync.Mutex
	held map[weightKey]*weight
}

// weightKey tells constants apart: by their place in a file, or by their tensor.
type weightKey struct {
	source graph.Range
	tensor *graph.Tensor
}

type weight struct {
	buffer *buffer
	users  int
}

func keyOf(t *graph.Tensor) weightKey {
	if t.Source != nil {
		return weightKey{source: *t.Source}
	}
	return weightKey{tensor: t}
}

// hold returns a constant's memory on the device, uploaded on first use. Each call
// is matched by one of drop.
func (w *weights) hold(h *heap, t *graph.Tensor) (*buffer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if have := w.held[keyOf(t)]; have != nil {
		have.users++
		return have.buffer, nil
	}
	b, err := h.alloc(int64(len(t.Data)))
	if err != nil {
		return nil, err
	}
	mem, err := h.bytes(b.id)
	if err != nil {
		return nil, err
	}
	copy(mem, t.Data)
	w.held[keyOf(t)] = &weight{b, 1}
	return b, nil
}

// drop releases a constant's memory with its last user.
func (w *weights) drop(t *graph.Tensor) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	have := w.held[keyOf(t)]
	if have.users--; have.users > 0 {
		return nil
	}
	delete(w.held, keyOf(t))
	return have.buffer.Close()
}
