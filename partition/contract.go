package partition

import (
	"fmt"
	"strings"

	"mnnconv/graph"
)

// ErrContract: what one side of a boundary gives is not what the other takes. It
// is a graph.ErrType too.
var ErrContract error = contractError{}

type contractError struct{}

func (contractError) Error() string        { return "contract violated" }
func (contractError) Is(target error) bool { return target == graph.ErrType }

// Terms are what a model knows of its boundaries beyond its graphs. All of it is
// optional.
type Terms struct {
	Bounds    map[string]graph.Env // by phase: the largest value of each symbol
	Relations []Relation
	Orders    []Order
	Files     map[string]string // by stage: the file it was read from
	// Picture and Token give the symbols of each phase their values for one picture
	// of the largest size that the model lets through, and for one decoded token.
	Picture, Token map[string]graph.Env
}

// Order says how the rows of a value are ordered, and where that comes from.
type Order struct {
	Phase  string `json:"phase"`
	Value  string `json:"value"`
	Text   string `json:"text"`
	Source string `json:"source"`
}

// ContractSet is contract.json: the contract of every boundary tensor of a model,
// in the order in which the phases run.
type ContractSet struct {
	SchemaVersion int        `json:"schema_version"`
	Symbols       []Symbol   `json:"symbols"`
	Contracts     []Contract `json:"contracts"`
	Notes         []string   `json:"notes,omitempty"` // types of float that were chosen, and why
}

// Symbol is an extent that a run decides.
type Symbol struct {
	Phase  string `json:"phase"`
	Name   string `json:"name"`
	Most   int64  `json:"most,omitempty"` // 0: not bounded
	Origin string `json:"origin"`         // which input gives it its value
}

// Edge says what kind of boundary a tensor crosses.
type Edge string

// The kinds of boundaries.
const (
	InputEdge  Edge = "input"  // from the caller on the host
	OutputEdge Edge = "output" // to the caller on the host
	LinkEdge   Edge = "link"   // from one phase to a later one, through the host
	CopyEdge   Edge = "copy"   // from one space to another
	PassEdge   Edge = "pass"   // between stages or partitions, in one space
)

// Contract is what both sides of a boundary agree on for one tensor.
type Contract struct {
	Edge         Edge          `json:"edge"`
	Phase        string        `json:"phase"`
	Value        string        `json:"value"` // canonical name
	From         Side          `json:"from"`
	To           Side          `json:"to"`
	DType        string        `json:"dtype"`
	Rank         int           `json:"rank"` // -1: only running tells
	Shape        []ShapeExtent `json:"shape"`
	Layout       string        `json:"layout"`
	Strides      []string      `json:"strides"`      // in elements
	Align        int64         `json:"align"`        // bytes, in the target space
	Quantisation string        `json:"quantisation"` // of the tensor itself; weights are no boundary tensors
	Bytes        string        `json:"bytes"`        // a formula over the symbols
	MostBytes    int64         `json:"most_bytes,omitempty"`
	Largest      int64         `json:"largest_allocation,omitempty"` // bytes, the smaller of both sides; 0: not known
	Relations    []Relation    `json:"relations"`
	Order        *Order        `json:"order,omitempty"`
	Owner        string        `json:"owner"`
	LastReader   string        `json:"last_reader"`
	Release      string        `json:"release"`
	Tolerance    Tolerance     `json:"tolerance"`
	Violations   []string      `json:"violations,omitempty"`

	from, to *graph.Value // what the sides hold
}

// Side is one side of a boundary.
type Side struct {
	Phase     string `json:"phase"`
	Stage     string `json:"stage,omitempty"`
	File      string `json:"file,omitempty"`
	Value     string `json:"value"`              // the name in the phase's graph
	Exporter  string `json:"exporter,omitempty"` // the exporter's name, where it is another
	Partition int    `json:"partition"`          // -1: the caller
	Space     string `json:"space"`
	Type      string `json:"type"`
}

// String names a side for messages: "encode partition 0 on sim:0 (vision, FILE)".
func (s Side) String() string {
	text := s.Phase + " caller on " + s.Space
	if s.Partition >= 0 {
		text = fmt.Sprintf("%s partition %d on %s", s.Phase, s.Partition, s.Space)
	}
	var of []string
	for _, x := range []string{s.Stage, s.File} {
		if x != "" {
			of = append(of, x)
		}
	}
	if len(of) > 0 {
		text += " (" + strings.Join(of, ", ") + ")"
	}
	return text
}

// ShapeExtent is one extent of a boundary tensor.
type ShapeExtent struct {
	Dim  string `json:"dim"`            // a formula over the symbols
	Most int64  `json:"most,omitempty"` // at the bounds; 0: not bounded
}

// Tolerance is how far results on two devices may lie apart: |a-b| ≤ Absolute +
// Relative·|b|. The values are ONNX Runtime's own for its tests (microsoft/
// onnxruntime#19792 and #19947); integers and copies are exact.
type Tolerance struct {
	Absolute float64 `json:"absolute"`
	Relative float64 `json:"relative"`
}

// ToleranceOf is the tolerance of one operator of a dtype.
func ToleranceOf(d graph.DType) Tolerance {
	switch d {
	case graph.Float64:
		return Tolerance{1e-5, 1e-5}
	case graph.Float32:
		return Tolerance{1e-5, 1e-4}
	case graph.Float16:
		return Tolerance{0.0025, 0.001}
	case graph.BFloat16:
		return Tolerance{0.02, 0.01}
	}
	return Tolerance{}
}

// Name is how messages call the boundary: "extend: image_rows, cpu → sim:1".
func (c *Contract) Name() string {
	switch {
	case c.Edge == InputEdge:
		return fmt.Sprintf("%s: %s, caller → %s", c.Phase, c.Value, c.To.Space)
	case c.Edge == OutputEdge:
		return fmt.Sprintf("%s: %s, %s → caller", c.Phase, c.Value, c.From.Space)
	case c.From.Phase != c.To.Phase:
		return fmt.Sprintf("%s → %s: %s, %s → %s", c.From.Phase, c.To.Phase, c.Value, c.From.Space, c.To.Space)
	}
	return fmt.Sprintf("%s: %s, %s → %s", c.Phase, c.Value, c.From.Space, c.To.Space)
}
