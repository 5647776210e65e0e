// Package opencl is the backend of OpenCL devices. The driver is opened when a device
// is asked for: the ICD loader if there is one, else a vendor's own library. Nothing of
// it is needed to build the program or to start it.
//
// Kernels are built from the source that package gpu embeds; what a driver made of it
// is kept on disk, by driver, device and source.
package opencl

import (
	"fmt"
	"sync"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/gpu"
)

// Backend runs on OpenCL devices. Devices of all platforms are numbered through, GPUs
// first.
type Backend struct {
	// Libraries are tried in order; none: the loader, then vendors' libraries.
	Libraries []string
	// Cache is the folder that built kernels are kept in; empty: the user's cache folder.
	Cache string
	// Wrap, unless nil, stands between a device and its driver: tests watch and fail
	// calls there.
	Wrap func(gpu.Driver) gpu.Driver
	// Timeout is how long a device may take for what was queued; 0: as long as it likes.
	Timeout time.Duration

	once    sync.Once
	api     *api
	devices []device
	err     error
}

// Name returns "opencl".
func (b *Backend) Name() string { return "opencl" }

// Profile describes one device. ErrUnavailable says what was looked for.
func (b *Backend) Profile(ordinal int) (partition.Profile, error) {
	d, err := b.device(ordinal)
	if err != nil {
		return partition.Profile{}, err
	}
	return d.profile(ordinal)
}

// device finds a device by its number.
func (b *Backend) device(ordinal int) (device, error) {
	b.once.Do(func() {
		if b.api, b.err = open(b.Libraries); b.err == nil {
			b.devices, b.err = b.api.devices()
		}
	})
	if b.err != nil {
		return device{}, b.err
	}
	if ordinal < 0 || ordinal >= len(b.devices) {
		return device{}, fmt.Errorf("%w: there are %d OpenCL devices (%s), not opencl:%d", runtime.ErrUnavailable, len(b.devices), b.api.path, ordinal)
	}
	return b.devices[ordinal], nil
}

// Lower groups nodes into kernels.
func (b *Backend) Lower(_ partition.Profile, g *graph.Graph) ([]partition.Kernel, error) {
	return gpu.Lower(g)
}

// Supports returns nil if a kernel covers the node, or why none does.
func (b *Backend) Supports(n *graph.Node, sized bool) error { return gpu.Supports(n, sized) }

// Open makes a context and a queue on the device that a profile names.
func (b *Backend) Open(p partition.Profile) (runtime.Device, error) {
	var ordinal int
	if n, err := fmt.Sscanf(p.Name, "opencl:%d", &ordinal); n != 1 || err != nil {
		return nil, fmt.Errorf("%w: %q is no OpenCL device", runtime.ErrUnavailable, p.Name)
	}
	d, err := b.device(ordinal)
	if err != nil {
		return nil, err
	}
	drv, err := newDriver(d, b.Cache)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	here, err := d.profile(ordinal)
	if err != nil {
		return nil, err
	}
	p.Align = max(p.Align, here.Align) // a plan made elsewhere may know less
	if b.Wrap != nil {
		return gpu.NewDevice(p, b.Wrap(drv)).WithTimeout(b.Timeout), nil
	}
	return gpu.NewDevice(p, drv).WithTimeout(b.Timeout), nil
}
