package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
)

// Observer is shown every value that a partition or a copy made, right after it,
// as it lies in its space. The tensor is the observer's.
type Observer func(v *graph.Value, t *graph.Tensor) error

// Observe has a session show its boundary tensors from now on. The session's
// schedule must be serial: in others memory may be used again before it is seen.
func (s *Session) Observe(o Observer) { s.observer = o }

// observe shows what command i made.
func (f *frame) observe(i int) error {
	for _, k := range f.l.steps[i].out {
		v, b := f.l.values[k], f.bound[k]
		if unknown(b) {
			return fmt.Errorf("%w: value %q has not been made", graph.ErrInvalid, v.Name)
		}
		t, err := Fetch(f.s.e.devices[string(v.Type.Space)], b)
		if err != nil {
			return fmt.Errorf("value %q: %w", v.Name, err)
		}
		if err := f.s.observer(v, t); err != nil {
			return err
		}
	}
	return nil
}

// Fetch copies a tensor out of a device's memory.
func Fetch(d Device, b Bound) (*graph.Tensor, error) {
	t := &graph.Tensor{DType: b.DType, Shape: slices.Clone(b.Shape)}
	err := staged(d, b.View.Size, func(mid View, bytes []byte) error {
		if err := wait(d.Transfer(mid, b.View, nil)); err != nil {
			return err
		}
		t.Data = slices.Clone(bytes)
		return nil
	})
	return t, err
}

// Store copies bytes into a device's memory.
func Store(d Device, to View, data []byte) error {
	return staged(d, to.Size, func(mid View, bytes []byte) error {
		copy(bytes, data)
		return wait(d.Transfer(to, mid, nil))
	})
}

// staged lends f pinned memory of the device. Of nothing there is nothing to move.
func staged(d Device, size int64, f func(mid View, bytes []byte) error) error {
	if size == 0 {
		return nil
	}
	b, err := pinnedOf(d, size)
	if err != nil {
		return err
	}
	bytes, err := b.Bytes()
	if err == nil {
		err = f(View{b, 0, size}, bytes)
	}
	return errors.Join(err, b.Close())
}

func wait(e Event, err error) error {
	if err != nil || e == nil {
		return err
	}
	return e.Wait(context.Background())
}
