//go:build !linux || nogpu

// Package cuda is the backend of NVIDIA's GPUs, which this build has none of: it is
// for Linux, without the tag nogpu.
package cuda

import (
	"fmt"
	"time"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
)

// Backend has no devices in this build.
type Backend struct{ Timeout time.Duration }

var errAbsent = fmt.Errorf("%w: this build has no CUDA: it needs Linux, and no tag nogpu", runtime.ErrUnavailable)

// Name returns "cuda".
func (*Backend) Name() string { return "cuda" }

// Profile returns ErrUnavailable.
func (*Backend) Profile(int) (partition.Profile, error) { return partition.Profile{}, errAbsent }

// Lower returns ErrUnavailable.
func (*Backend) Lower(partition.Profile, *graph.Graph) ([]partition.Kernel, error) {
	return nil, errAbsent
}

// Open returns ErrUnavailable.
func (*Backend) Open(partition.Profile) (runtime.Device, error) { return nil, errAbsent }
