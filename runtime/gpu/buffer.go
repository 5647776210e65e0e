package gpu

import (
	"fmt"
	"sync/atomic"

	"mnnconv/graph"
	"mnnconv/runtime"
)

// buffer is device memory, or host memory that the device pinned. An empty one has
// no memory behind it.
type buffer struct {
	d      *Device
	space  graph.Space
	size   int64
	memory Memory // nil: empty
	closed atomic.Bool
}

func (b *buffer) Space() graph.Space { return b.space }
func (b *buffer) Size() int64        { return b.size }

// Close releases the memory. What is queued on it must have ended.
func (b *buffer) Close() error {
	if b.closed.Swap(true) {
		return fmt.Errorf("%w: a buffer of %s is released twice", runtime.ErrAddress, b.d.space)
	}
	if b.memory == nil {
		return nil
	}
	return b.d.release(b.memory.Close)
}

// open returns an error if the buffer has been closed, or is of another device.
func (b *buffer) open(d *Device) error {
	switch {
	case b.closed.Load():
		return fmt.Errorf("%w: a buffer of %s is used after its release", runtime.ErrAddress, b.d.space)
	case b.d != d:
		return fmt.Errorf("%w: a buffer of %s is used on %s", runtime.ErrAddress, b.d.space, d.space)
	}
	return nil
}

// pinned is host memory that the device copies to and from by itself.
type pinned struct{ *buffer }

func (p pinned) Bytes() ([]byte, error) {
	if err := p.open(p.d); err != nil {
		return nil, err
	}
	if p.memory == nil {
		return nil, nil
	}
	return p.memory.(Pinned).Bytes()[:p.size:p.size], nil
}
