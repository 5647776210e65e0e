package partition

import (
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
)

// Profile is what planning must know of a device.
type Profile struct {
	Name      string    `json:"name"`                // backend and ordinal: "cpu", "sim:0"
	Vendor    string    `json:"vendor,omitempty"`    // as the driver or the processor says
	UUID      string    `json:"uuid,omitempty"`      // empty where the device has none
	Peers     []string  `json:"peers,omitempty"`     // UUIDs of the GPUs whose memory it reaches
	Memory    int64     `json:"memory"`              // bytes; 0: not known
	Free      int64     `json:"free,omitempty"`      // bytes free when the profile was taken; 0: not known
	Mapped    bool      `json:"mapped,omitempty"`    // weights are read where their file is mapped and need no free memory
	MaxAlloc  int64     `json:"max_alloc,omitempty"` // bytes of one allocation; 0: Memory
	Align     int64     `json:"align"`               // bytes
	Operators []string  `json:"operators,omitempty"` // domain-qualified names; empty: every operator that has a reference
	DTypes    []string  `json:"dtypes,omitempty"`    // of results; empty: all
	Products  string    `json:"products,omitempty"`  // what multiplies large matrices, where that is not its kernels alone
	Measured  *Measured `json:"measured,omitempty"`  // nil: nobody did
}

// Measured are the speeds of a device.
type Measured struct {
	Source   string  `json:"source"`                  // where and how the figures were taken
	Upload   float64 `json:"upload_gb_s,omitempty"`   // GB/s from pinned host memory
	Download float64 `json:"download_gb_s,omitempty"` // GB/s to pinned host memory
	Launch   float64 `json:"launch_us,omitempty"`     // µs a launch
	Memory   float64 `json:"memory_gb_s,omitempty"`   // GB/s that a product of a matrix and a vector reads
	Compute  float64 `json:"gflop_s,omitempty"`       // GFLOP/s of a product of matrices
}

// Space is the profile's memory space.
func (p Profile) Space() graph.Space { return graph.Space(p.Name) }

// Supports reports whether the device runs the node, or why not.
func (p Profile) Supports(n *graph.Node) error {
	if len(p.Operators) > 0 && !slices.Contains(p.Operators, n.OpName()) {
		return fmt.Errorf("%s has no kernel for %s", p.Name, n.OpName())
	}
	if p.Space() != graph.Host {
		if v := unflat(n); v != nil {
			return fmt.Errorf("%s holds no strings, sequences or optionals (value %q is %s)", p.Name, v.Name, v.Type)
		}
	}
	if len(p.DTypes) == 0 {
		return nil
	}
	for _, v := range n.Outputs {
		if v != nil && v.Type.Kind == graph.TensorKind && !slices.Contains(p.DTypes, v.Type.DType.String()) {
			return fmt.Errorf("%s does not compute in %s (value %q)", p.Name, v.Type.DType, v.Name)
		}
	}
	return nil
}

// unflat returns a value that the node reads or makes and that is no bytes, or nil.
func unflat(n *graph.Node) *graph.Value {
	var found *graph.Value
	look := func(v *graph.Value) {
		if v != nil && !v.Type.Flat() {
			found = v
		}
	}
	n.Reads(look)
	for _, v := range n.Outputs {
		look(v)
	}
	return found
}

// ErrPlacement: the rules cannot be met, because a target is not there or lacks
// an operator.
var ErrPlacement = errors.New("no valid placement")

func find(targets []Target, name string) (Target, error) {
	var have []string
	for _, t := range targets {
		if t.Profile.Name == name {
			return t, nil
		}
		have = append(have, t.Profile.Name)
	}
	return Target{}, fmt.Errorf("%w: device %q is not known here (known: %v; see `mnnconv devices`)", ErrPlacement, name, have)
}
