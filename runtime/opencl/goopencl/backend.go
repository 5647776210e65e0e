//go:build goopencl

package goopencl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/jgillich/go-opencl/cl"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// Backend runs on OpenCL devices: those of all platforms, GPUs first.
type Backend struct{}

// Name returns "opencl": plans for one binding are plans for the other.
func (Backend) Name() string { return "opencl" }

func (Backend) device(ordinal int) (*cl.Device, error) {
	platforms, err := cl.GetPlatforms()
	if err != nil {
		return nil, fmt.Errorf("%w: go-opencl: %w", runtime.ErrUnavailable, err)
	}
	var all []*cl.Device
	for _, p := range platforms {
		ds, err := p.GetDevices(cl.DeviceTypeAll)
		if err != nil && !errors.Is(err, cl.ErrDeviceNotFound) {
			return nil, fmt.Errorf("%w: go-opencl: %s: %w", runtime.ErrUnavailable, p.Name(), err)
		}
		all = append(all, ds...)
	}
	rank := func(d *cl.Device) int {
		switch {
		case d.Type()&cl.DeviceTypeGPU != 0:
			return 0
		case d.Type()&cl.DeviceTypeCPU == 0:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(a, b *cl.Device) int { return cmp.Compare(rank(a), rank(b)) })
	if ordinal < 0 || ordinal >= len(all) {
		return nil, fmt.Errorf("%w: go-opencl: there are %d OpenCL devices, not opencl:%d", runtime.ErrUnavailable, len(all), ordinal)
	}
	return all[ordinal], nil
}

// Profile describes one device.
func (b Backend) Profile(ordinal int) (partition.Profile, error) {
	d, err := b.device(ordinal)
	if err != nil {
		return partition.Profile{}, err
	}
	return partition.Profile{
		Name: fmt.Sprintf("opencl:%d", ordinal), Vendor: d.Name() + ", driver " + d.DriverVersion(), Memory: d.GlobalMemSize(),
		MaxAlloc: d.MaxMemAllocSize(), Align: max(int64(d.MemBaseAddrAlign()/8), 16), Operators: gpu.Operators(), DTypes: gpu.DTypes(),
	}, nil
}

// Lower groups nodes into kernels.
func (Backend) Lower(_ partition.Profile, g *graph.Graph) ([]partition.Kernel, error) {
	return gpu.Lower(g)
}

// Supports returns nil if a kernel covers the node, or why none does.
func (Backend) Supports(n *graph.Node, sized bool) error { return gpu.Supports(n, sized) }

// Open makes a context and a queue on the device that a profile names.
func (b Backend) Open(p partition.Profile) (runtime.Device, error) {
	var ordinal int
	if n, err := fmt.Sscanf(p.Name, "opencl:%d", &ordinal); n != 1 || err != nil {
		return nil, fmt.Errorf("%w: %q is no OpenCL device", runtime.ErrUnavailable, p.Name)
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
