//go:build linux && !nogpu

// Package cuda is the backend of NVIDIA's GPUs. It opens the driver's library at run
// time, and brings package gpu a driver: what runs is the shared kernels' source,
// compiled to PTX beforehand.
package cuda

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cuda/driver"
	"mnnconv/runtime/gpu"
)

// Backend finds and opens devices. The zero value looks for libcuda.so.1.
type Backend struct {
	// Wrap, unless nil, stands between a device and its driver: tests watch and fail
	// what it does.
	Wrap func(gpu.Driver) gpu.Driver
	// Timeout is how long a device may take for what was queued; 0: as long as it likes.
	Timeout time.Duration

	once    sync.Once
	library *driver.Library
	err     error
	lt      *cublasLt
	ltErr   error // why there is none
}

// leastVersion is the CUDA whose PTX the kernels are compiled to: 12.4.
const leastVersion = 12040

// align is what every address that a kernel gets is a multiple of, in bytes.
const align = 256

// Name returns "cuda".
func (*Backend) Name() string { return "cuda" }

func (b *Backend) open() (*driver.Library, error) {
	b.once.Do(func() {
		if b.library, b.err = driver.Open(); b.err != nil {
			b.err = fmt.Errorf("%w: no CUDA: %w", runtime.ErrUnavailable, b.err)
			return
		}
		if v := b.library.Version; v < leastVersion {
			b.err = fmt.Errorf("%w: %s speaks CUDA %d.%d, the kernels need %d.%d: update the driver", runtime.ErrUnavailable, b.library.Path,
				v/1000, v%1000/10, leastVersion/1000, leastVersion%1000/10)
			return
		}
		b.lt, b.ltErr = openCublasLt()
	})
	return b.library, b.err
}

func (b *Backend) device(ordinal int) (*driver.Library, driver.Device, error) {
	l, err := b.open()
	if err != nil {
		return nil, driver.Device{}, err
	}
	n, err := l.Devices()
	if err != nil {
		return nil, driver.Device{}, fmt.Errorf("%w: %s: %w", runtime.ErrUnavailable, l.Path, err)
	}
	if ordinal < 0 || ordinal >= n {
		return nil, driver.Device{}, fmt.Errorf("%w: %s has %d devices, and no cuda:%d", runtime.ErrUnavailable, l.Path, n, ordinal)
	}
	d, err := l.Device(ordinal)
	if err == nil && (d.Major < 8) {
		err = fmt.Errorf("its compute capability is %d.%d, the kernels need 8.0", d.Major, d.Minor)
	}
	if err != nil {
		return nil, d, fmt.Errorf("%w: cuda:%d: %w", runtime.ErrUnavailable, ordinal, err)
	}
	return l, d, nil
}

// Profile describes a device. What memory is free only an opened one tells.
func (b *Backend) Profile(ordinal int) (partition.Profile, error) {
	l, d, err := b.device(ordinal)
	if err != nil {
		return partition.Profile{}, err
	}
	p := partition.Profile{Name: fmt.Sprintf("cuda:%d", ordinal), Vendor: d.Name, UUID: gpu.UUID(d.UUID), Memory: d.Memory, Align: align,
		Operators: gpu.Operators(), DTypes: gpu.DTypes()}
	if p.Peers, err = peers(l, d); err != nil {
		return partition.Profile{}, fmt.Errorf("%w: cuda:%d: %w", runtime.ErrUnavailable, ordinal, err)
	}
	if p.Products = fmt.Sprint(b.lt); b.lt == nil {
		p.Products = "its own kernels: " + b.ltErr.Error()
	}
	return p, nil
}

// peers lists the other devices whose memory a device reaches.
func peers(l *driver.Library, d driver.Device) ([]string, error) {
	n, err := l.Devices()
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range n {
		if i == d.Ordinal {
			continue
		}
		other, err := l.Device(i)
		if err != nil {
			return nil, err
		}
		yes, err := l.Reaches(d, other)
		if err != nil {
			return nil, err
		}
		if yes {
			out = append(out, gpu.UUID(other.UUID))
		}
	}
	return out, nil
}

// Lower groups nodes into kernels.
func (*Backend) Lower(_ partition.Profile, g *graph.Graph) ([]partition.Kernel, error) {
	return gpu.Lower(g)
}

// Supports returns nil if a kernel covers the node, or why none does.
func (*Backend) Supports(n *graph.Node, sized bool) error { return gpu.Supports(n, sized) }

// Open opens the device that a profile of this backend describes.
func (b *Backend) Open(p partition.Profile) (runtime.Device, error) {
	var ordinal int
	if n, err := fmt.Sscanf(p.Name, "cuda:%d", &ordinal); n != 1 || err != nil {
		return nil, fmt.Errorf("%w: %q is no CUDA device", runtime.ErrUnavailable, p.Name)
	}
	l, d, err := b.device(ordinal)
	if err != nil {
		return nil, err
	}
	c, err := l.Context(d)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", runtime.ErrUnavailable, p.Name, err)
	}
	dev, err := newDevice(p.Name, c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if b.lt != nil {
		dev.lt = &multiplier{cublasLt: b.lt, plans: map[gpu.Product]*ltPlan{}}
	}
	if b.Wrap != nil {
		return gpu.NewDevice(p, b.Wrap(dev)).WithTimeout(b.Timeout), nil
	}
	return gpu.NewDevice(p, dev).WithTimeout(b.Timeout), nil
}
