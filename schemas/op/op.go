// Package op holds the operators: one file each, and the table in all.go.
//
// An [Op] is data: its documentation, how the types of its outputs follow from
// its inputs (Infer), a plain implementation on host memory (Eval), and cases
// with known answers (Cases). Everything else in the module asks this table:
// import checks, shape inference, constant folding, the reference that fast
// kernels are compared with, and the conformance cases of every backend.
package op

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mnnconv/graph"
)

// Domains beside ai.onnx (the empty string).
const (
	Preview     = "ai.onnx.preview"
	Microsoft   = "com.microsoft" // onnxruntime's contrib operators
	LlmExporter = "LlmExporter"   // MNN's llmexport
	Mnnconv     = "mnnconv"       // operators that ONNX lacks, with a function body in standard ones
)

// Op describes one operator over all its versions; Infer and Eval look at
// Node.Version where versions differ.
type Op struct {
	Domain, Name string
	Since        int      // first opset version of Domain that has it
	Doc          string   // one sentence, then the formula or the source it follows
	Inputs       []string // names; a trailing "?" marks an optional input, "..." a repeated last one (at least one if it is the first)
	Outputs      []string // likewise
	Attrs        []string // names of the attributes it knows; others are refused
	Infer        func(*Inference) error
	Eval         func(*Call) error
	Cases        func() []Case
	// FLOPs is the work of a node as a formula; nil: none that counts, see [FLOPs].
	FLOPs func(*graph.Node) graph.Dim
	// Reads says how many elements of an input a node looks at, where some is true
	// and that is not all of them; nil: all of each, see [Reads].
	Reads func(n *graph.Node, input int) (elements graph.Dim, some bool)
	// Random marks operators whose results differ from call to call; they are never folded.
	Random bool
	// Containers marks operators that take sequences and optionals too; the
	// others are never called with one.
	Containers bool
}

// Case is a call with a known answer, run against Eval and every backend that
// claims the operator.
type Case struct {
	Name    string
	Version int // of the operator's domain; 0: the newest
	Attrs   []graph.Attr
	Bodies  []*graph.Body
	In      []*graph.Tensor // nil: absent
	Want    []*graph.Tensor // nil: not wanted
	Tol     float64         // absolute and relative; 0: bit for bit
}

// ErrUnsupported: the operator, or this form of it, is unknown to mnnconv.
var ErrUnsupported = errors.New("unsupported")

// ErrInput: an operator got data it is not defined for (an index out of range, say).
var ErrInput = errors.New("invalid operator input")

// Call is one evaluation of a node on host memory.
type Call struct {
	Ctx  context.Context
	Node *graph.Node
	In   []*graph.Tensor // aligned with Node.Inputs; nil: absent. Never written.
	Out  []*graph.Tensor // to be set, aligned with Node.Outputs
	// Outer resolves captured values of bodies, aligned with each Body.Outer.
	Outer func(*graph.Value) *graph.Tensor
	// Table looks operators up for bodies.
	Table Table
}

// Arg returns input i or nil.
func (c *Call) Arg(i int) *graph.Tensor {
	if i < len(c.In) {
		return c.In[i]
	}
	return nil
}

// Set stores output i, if the node wants it.
func (c *Call) Set(i int, t *graph.Tensor) {
	if i < len(c.Out) {
		c.Out[i] = t
	}
}

// New allocates a tensor and stores it as output i. A shape that cannot be is
// an error wrapping ErrInput.
func (c *Call) New(i int, d graph.DType, shape ...int64) (*graph.Tensor, error) {
	t, err := graph.NewTensor(d, shape...)
	if err != nil {
		return nil, fmt.Errorf("%w: output %d: %w", ErrInput, i, err)
	}
	c.Set(i, t)
	return t, nil
}

// checkArity returns an error wrapping graph.ErrInvalid unless the node has the
// inputs and outputs that the operator requires, and no others. So Infer and
// Eval may use required inputs without looking.
func (o *Op) checkArity(n *graph.Node) error {
	for i, name := range o.Inputs {
		repeated := strings.HasSuffix(name, "...")
		if !strings.HasSuffix(name, "?") && (!repeated || i == 0) && n.In(i) == nil {
			return fmt.Errorf("input %q (%d) is missing: %w", name, i, graph.ErrInvalid)
		}
		for k := i; repeated && k < len(n.Inputs); k++ {
			if n.Inputs[k] == nil {
				return fmt.Errorf("input %q (%d) is missing: %w", name, k, graph.ErrInvalid)
			}
		}
	}
	if i := surplus(o.Inputs, n.Inputs); i >= 0 {
		return fmt.Errorf("input %d is one more than the operator takes (%s): %w", i, strings.Join(o.Inputs, ", "), graph.ErrInvalid)
	}
	if i := surplus(o.Outputs, n.Outputs); i >= 0 {
		return fmt.Errorf("output %d is one more than the operator gives (%s): %w", i, strings.Join(o.Outputs, ", "), graph.ErrInvalid)
	}
	return nil
}

// surplus returns the index of the first value beyond the names, or -1.
func surplus(names []string, values []*graph.Value) int {
	if k := len(names); k > 0 && strings.HasSuffix(names[k-1], "...") {
		return -1
	}
	for i := len(names); i < len(values); i++ {
		if values[i] != nil {
			return i
		}
	}
	return -1
}

// checkKind returns an error wrapping graph.ErrType if input i is a container
// and the operator takes tensors only.
func (o *Op) checkKind(i int, k graph.Kind) error {
	if k != graph.TensorKind && !o.Containers {
		return fmt.Errorf("input %d is a sequence or an optional, %s takes tensors: %w", i, o.Name, graph.ErrType)
	}
	return nil
}

// Table finds operators by domain and name.
type Table map[Key]*Op

// Key names an operator.
type Key struct{ Domain, Name string }

// NewTable builds a table; two entries of one name are a programming error.
func NewTable(ops ...*Op) Table {
	t := make(Table, len(ops))
	for _, o := range ops {
		k := Key{o.Domain, o.Name}
		if t[k] != nil {
			panic("op: invariant: two operators named " + o.Domain + "." + o.Name)
		}
		t[k] = o
	}
	return t
}

// Lookup returns the operator of a node, or an error that wraps ErrUnsupported
// and names the node.
func (t Table) Lookup(n *graph.Node) (*Op, error) {
	domain := n.Domain
	if domain == "ai.onnx" {
		domain = ""
	}
	if o := t[Key{domain, n.Op}]; o != nil {
		return o, nil
	}
	return nil, fmt.Errorf("%s: operator %s (opset %d) is %w", n.ID(), n.OpName(), n.Version, ErrUnsupported)
}

// Sorted lists the operators by domain and name.
func (t Table) Sorted() []*Op {
	return slices.SortedFunc(maps.Values(t), func(a, b *Op) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Name, b.Name))
	})
}
