package gpu

import (
	"errors"
	"fmt"

	"mnnconv/graph"
)

// Layout is how a constant is kept on the device.
type Layout uint8

// The layouts.
const (
	AsStored   Layout = iota
	Transposed        // the last two axes swapped
)

// lay replaces a constant's memory by one in another layout.
func (d *Device) lay(l Layout, t *graph.Tensor, m Memory) (Memory, error) {
	size := int64(len(t.Data))
	out, err := d.driver.Alloc(size)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%d bytes: %w", size, err), m.Close())
	}
	r := &Recorder{d: d, limits: d.limits, Node: "weights"}
	n := len(t.Shape)
	if l != Transposed || n < 2 {
		return nil, errors.Join(fmt.Errorf("gpu: invariant: layout %d of shape %v", l, t.Shape), m.Close(), out.Close())
	}
	perm := make([]int, n)
	for i := range perm {
		perm[i] = i
	}
	perm[n-1], perm[n-2] = n-2, n-1
	x := &Tensor{DType: t.DType, Shape: t.Shape, memory: m, size: size}
	y := &Tensor{DType: t.DType, Shape: permuted(t.Shape, perm), memory: out, size: size}
	err = r.transpose(y, x, perm)
	if err == nil {
		err = d.once(r.commands)
	}
	if d.isLost() {
		return nil, err
	}
	if err = errors.Join(err, m.Close()); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// once runs launches now.
func (d *Device) once(commands []Command) error {
	for _, c := range commands {
		if err := d.load(c.Module); err != nil {
			return err
		}
	}
	s, err := d.driver.Record(commands)
	if err != nil {
		return err
	}
	if err = d.noted(s.Submit()); err == nil {
		err = d.drain()
	}
	if d.isLost() {
		return err
	}
	return errors.Join(err, s.Close())
}

func permuted(shape []int64, perm []int) []int64 {
	out := make([]int64, len(shape))
	for i, p := range perm {
		out[i] = shape[p]
	}
	return out
}
