// Package sim is a discrete device made of host memory. Its address space is its
// own: a buffer is a handle, and nothing outside this package can reach the bytes
// behind it but by Transfer. Fresh memory and released memory are poisoned,
// allocations stand between guard zones, weights are uploaded, and commands run
// behind the caller's back until their event is waited for, so that what would
// crash or race on a real device fails here with a name, or gives other bits.
//
// A [Config] sets limits, speeds, faults and how late commands may run.
package sim

import (
	"cmp"
	"fmt"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/host"
	"mnnconv/schemas/op"
)

// Devices is how many simulated devices there are.
const Devices = 4

// What a device claims whose Config does not say: 8 GiB, aligned as on a GPU.
const (
	defaultMemory = 8 << 30
	defaultAlign  = 256
)

// Backend makes simulated devices that compute with the host's kernels.
type Backend struct {
	Table   op.Table
	Threads int
	Math    host.Math
	Config  [Devices]Config // by ordinal
	// Opened, unless nil, is given each device that is opened.
	Opened func(*Device)
	pool   host.Shared // by all devices
}

// Name returns "sim".
func (b *Backend) Name() string { return "sim" }

// Profile describes device sim:ordinal.
func (b *Backend) Profile(ordinal int) (partition.Profile, error) {
	if ordinal < 0 || ordinal >= Devices {
		return partition.Profile{}, fmt.Errorf("%w: there are sim:0 to sim:%d, not sim:%d", runtime.ErrUnavailable, Devices-1, ordinal)
	}
	c := &b.Config[ordinal]
	return partition.Profile{
		Name:      fmt.Sprintf("sim:%d", ordinal),
		Vendor:    "simulated device in host memory",
		Memory:    cmp.Or(c.Memory, defaultMemory),
		MaxAlloc:  c.MaxAlloc,
		Align:     cmp.Or(c.Align, defaultAlign),
		Operators: c.Operators,
		DTypes:    c.DTypes,
	}, nil
}

// Lower groups nodes into host kernels.
func (b *Backend) Lower(_ partition.Profile, g *graph.Graph) ([]partition.Kernel, error) {
	groups := host.Lower(g, b.Math)
	out := make([]partition.Kernel, len(groups))
	for i, g := range groups {
		out[i] = partition.Kernel{Name: g.Name, Nodes: g.Nodes, In: g.In, Out: g.Out, View: g.View}
		if g.InPlace {
			out[i].InPlace = 1
		}
	}
	return out, nil
}

// Open makes the device that a profile of this backend describes.
func (b *Backend) Open(p partition.Profile) (runtime.Device, error) {
	var ordinal int
	if n, err := fmt.Sscanf(p.Name, "sim:%d", &ordinal); n != 1 || err != nil || ordinal < 0 || ordinal >= Devices {
		return nil, fmt.Errorf("%w: %q is no simulated device", runtime.ErrUnavailable, p.Name)
	}
	d := newDevice(b, p, b.Config[ordinal])
	if b.Opened != nil {
		b.Opened(d)
	}
	return d, nil
}
