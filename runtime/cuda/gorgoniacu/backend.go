//go:build cu

package gorgoniacu

import (
	"errors"
	"fmt"

	"gorgonia.org/cu"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// Backend runs on CUDA devices.
type Backend struct{}

// align is what every address that a kernel gets is a multiple of, in bytes.
const align = 256

// Name returns "cuda": plans for one binding are plans for the other.
func (Backend) Name() string { return "cuda" }

func (Backend) device(ordinal int) (cu.Device, error) {
	n, err := cu.NumDevices()
	if err != nil || ordinal < 0 || ordinal >= n {
		return 0, errors.Join(fmt.Errorf("%w: gorgonia.org/cu: there are %d devices, and no cuda:%d", runtime.ErrUnavailable, n, ordinal), err)
	}
	d, err := cu.GetDevice(ordinal)
	if err == nil {
		var major int
		if major, err = d.Attribute(cu.ComputeCapabilityMajor); err == nil && major < 8 {
			err = fmt.Errorf("its compute capability is %d, the kernels need 8.0", major)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%w: gorgonia.org/cu: cuda:%d: %w", runtime.ErrUnavailable, ordinal, err)
	}
	return d, nil
}

// Profile describes one device.
func (b Backend) Profile(ordinal int) (partition.Profile, error) {
	d, err := b.device(ordinal)
	if err != nil {
		return partition.Profile{}, err
	}
	name, err := d.Name()
	if err != nil {
		return partition.Profile{}, sentinel(err)
	}
	uuid, err := d.UUID()
	if err != nil {
		return partition.Profile{}, sentinel(err)
	}
	memory, err := d.TotalMem()
	return partition.Profile{Name: fmt.Sprintf("cuda:%d", ordinal), Vendor: name, UUID: gpu.UUID(uuid), Memory: memory, Align: align,
		Operators: gpu.Operators(), DTypes: gpu.DTypes()}, sentinel(err)
}

// Lower groups nodes into kernels.
func (Backend) Lower(_ partition.Profile, g *graph.Graph) ([]partition.Kernel, error) {
	return gpu.Lower(g)
}

// Supports returns nil if a kernel covers the node, or why none does.
func (Backend) Supports(n *graph.Node, sized bool) error { return gpu.Supports(n, sized) }

// Open retains the primary context of the device that a profile names.
func (b Backend) Open(p partition.Profile) (runtime.Device, error) {
	var ordinal int
	if n, err := fmt.Sscanf(p.Name, "cuda:%d", &ordinal); n != 1 || err != nil {
		return nil, fmt.Errorf("%w: %q is no CUDA device", runtime.ErrUnavailable, p.Name)
	}
	d, err := b.device(ordinal)
	if err != nil {
		return nil, err
	}
	drv, err := newDriver(d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	return gpu.NewDevice(p, drv), nil
}
