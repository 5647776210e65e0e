package gpu

import (
	"fmt"

	"mnnconv/graph"
)

// weightKey tells what a device holds apart: constants by their place in a file or
// by their tensor, and the layout they are kept in.
type weightKey struct {
	source graph.Range
	tensor *graph.Tensor
	layout Layout
}

type weight struct {
	memory Memory
	users  int
}

func keyOf(t *graph.Tensor, l Layout) weightKey {
	if t.Source != nil {
		return weightKey{source: *t.Source, layout: l}
	}
	return weightKey{tensor: t, layout: l}
}

// hold returns a constant's memory on the device, uploaded on first use. Each call is
// matched by one of drop. Constants without elements have none.
func (d *Device) hold(t *graph.Tensor, l Layout) (Memory, weightKey, error) {
	k := keyOf(t, l)
	if len(t.Data) == 0 {
		return nil, k, nil
	}
	if w := d.weights[k]; w != nil {
		w.users++
		return w.memory, k, nil
	}
	m, err := d.place(t)
	if err == nil && l != AsStored {
		m, err = d.lay(l, t, m)
	}
	if err != nil {
		return nil, k, err
	}
	d.weights[k] = &weight{m, 1}
	return m, k, nil
}

// place uploads a constant as it is stored.
func (d *Device) place(t *graph.Tensor) (Memory, error) {
	size := int64(len(t.Data))
	m, err := d.driver.Alloc(size)
	if err != nil {
		return nil, fmt.Errorf("%d bytes: %w", size, err)
	}
	return m, d.upload(m, 0, t.Data)
}

// drop releases a constant's memory with its last user.
func (d *Device) drop(k weightKey) error {
	w := d.weights[k]
	if w == nil {
		return nil
	}
	if w.users--; w.users > 0 {
		return nil
	}
	delete(d.weights, k)
	return w.memory.Close()
}
