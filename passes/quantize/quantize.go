// Package quantize stores weights in fewer bits: codes of 4 or 8 bits with a scale
// for each block of a row, or 16-bit floats.
//
// What flows in: raised graphs with mapped weights, and a [Spec]. What flows out:
// the same graphs with com.microsoft MatMulNBits in the place of products and
// GatherBlockQuantized in that of lookups, which onnxruntime runs, or with a Cast
// behind a 16-bit weight. The new weights are [graph.Later]: they are computed
// matrix by matrix while they are written, so memory does not grow with the model.
package quantize

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// DefaultMethod chooses codes where neither a rule nor calibration data say how.
const DefaultMethod = Round

// Options say what is done.
type Options struct {
	Spec   *Spec
	Budget *Budget // nil: the spec is all
	Table  op.Table
	Loops  Loops
	// Calibrate runs the model over calibration data; nil: there are none.
	Calibrate Calibrator
	Workers   int // goroutines that choose codes; 0: one a processor
}

// Input is a value that a product reads.
type Input struct {
	Phase, Value string
}

// Calibrator runs the model over its calibration data and hands over the rows that
// come to each of the inputs, [rows, width] one behind the other.
type Calibrator func(inputs []Input, add func(i int, rows []float32) error) error

// Result is what Run did. Report is complete once Weights are written.
type Result struct {
	Report *Report
	// Weights are the new constants in the order in which they are best written: of
	// each matrix codes first.
	Weights []*graph.Tensor
	layers  []*Layer
}

// Finish completes the report, after the weights are written.
func (r *Result) Finish() *Report {
	r.Report.Layers = make([]Layer, len(r.layers))
	for i, l := range r.layers {
		if l.twin != nil {
			l.Error, l.LargestError = l.twin.Error, l.twin.LargestError
		}
		r.Report.Layers[i] = *l
	}
	r.Report.finish()
	return r.Report
}

// Run rewrites the graphs, in place. ctx ends it early.
func Run(ctx context.Context, phases []Phase, o Options) (*Result, error) {
	if o.Workers == 0 {
		o.Workers = goruntime.GOMAXPROCS(0)
	}
	all, kept := sites(phases, o)
	if err := o.Spec.check(); err != nil {
		return nil, err
	}
	if kept == nil {
		kept = []Kept{}
	}
	r := &Result{Report: &Report{SchemaVersion: reportVersion, Spec: o.Spec.Text, Kept: kept, BytesBefore: weightBytes(phases)}}
	if err := tie(ctx, all, o.Loops); err != nil {
		return nil, err
	}
	stats := newCalibration(o.Calibrate)
	if o.Budget != nil {
		r.Report.Budget = o.Budget.Text
		if err := o.Budget.choose(ctx, all, r.Report.BytesBefore, o); err != nil {
			return nil, err
		}
	}
	w := &writer{r: r, o: o, stats: stats, made: map[*site]*made{}, floats: map[*graph.Tensor]*floats{}}
	for _, s := range all {
		if s.format.Kind == Keep { // by the budget
			r.Report.Kept = append(r.Report.Kept, Kept{s.phase, s.n.Label(), s.weight.Const.Size(), "the budget says so"})
			continue
		}
		w.site(s)
	}
	for _, ph := range phases {
		ph.Graph.RemoveDead()
		if _, err := passes.Infer(ph.Graph, o.Table); err != nil {
			return nil, fmt.Errorf("phase %s: quantised: %w", ph.Name, err)
		}
		if err := graph.Verify(ph.Graph); err != nil {
			return nil, fmt.Errorf("phase %s: quantised: %w", ph.Name, err)
		}
	}
	r.Report.Bytes = weightBytes(phases)
	return r, nil
}

// writer puts new nodes and weights in the place of sites.
type writer struct {
	r      *Result
	o      Options
	stats  *calibration
	made   map[*site]*made
	floats map[*graph.Tensor]*floats // by what they were
}

// made is what a job makes; factors and zeros may be nil.
type made struct{ codes, scales, factors, zeros *graph.Later }

func (w *writer) site(s *site) {
	s.layer = Layer{Phase: s.phase, Path: s.n.Label(), Weight: s.weight.Name, Rows: s.m.rows, Columns: s.m.cols,
		From: s.weight.Const.DType.String(), To: s.format.String(), BytesBefore: s.weight.Const.Size(), Bytes: s.bytes(s.format), Raised: s.raised}
	if s.weight.From != "" {
		s.layer.Weight = s.weight.From
	}
	w.r.layers = append(w.r.layers, &s.layer)
	switch {
	case s.format.bits() == 0:
		w.float(s)
	default:
		w.codes(s)
	}
}

// codes makes a product or a lookup one of codes.
func (w *writer) codes(s *site) {
	m := w.made[s.twin]
	if s.twin == nil {
		j := s.job(s.format, w.o)
		if s.format.Method == GPTQ {
			j.stats = w.stats.of(s)
		}
		m = j.tensors()
		w.made[s] = m
	} else {
		s.layer.SharedWith, s.layer.twin = s.twin.layer.Path, &s.twin.layer
	}
	f, n, blocks := s.format, s.n, int64((s.m.cols+s.format.Block-1)/s.format.Block)
	rows, zeroRow := int64(s.m.rows), (blocks*int64(f.bits())+7)/8
	compute := n.Out(0).Type.DType
	base := n.Out(0).Name
	constant := func(name string, d graph.DType, l *graph.Later, shape ...int64) *graph.Value {
		t := &graph.Tensor{DType: d, Shape: shape, Later: l}
		if s.twin == nil {
			w.r.Weights = append(w.r.Weights, t)
		}
		return s.g.NewConst(base+"."+name, t)
	}
	shape := []int64{rows, blocks, int64(f.Block * f.bits() / 8)}
	if s.table {
		shape = []int64{rows, int64(s.m.cols * f.bits() / 8)}
	}
	codes := constant("codes", graph.Uint8, m.codes, shape...)
	var scales *graph.Value
	stored := graph.Float16
	if m.factors == nil {
		scales = constant("scales", graph.Float16, m.scales, rows, blocks)
	} else {
		stored = graph.Float32
		scales = s.product(s.before(constant("scales", graph.Int8, m.scales, rows, blocks), graph.Float32, base+".scales.codes"),
			constant("factors", graph.Float32, m.factors, rows, 1), base+".scales.product")
	}
	var zeros *graph.Value
	if m.zeros != nil {
		zeros = constant("zeros", graph.Uint8, m.zeros, rows, zeroRow)
	}
	if compute != stored {
		scales = s.before(scales, compute, base+".scales.wide")
	}
	inputs := []*graph.Value{n.In(0), codes, scales, zeros, nil, n.In(2)}
	attrs := []graph.Attr{{Name: "K", Value: int64(s.m.cols)}, {Name: "N", Value: rows}, {Name: "bits", Value: int64(f.bits())}, {Name: "block_size", Value: int64(f.Block)}}
	n.Op = "MatMulNBits"
	if s.table {
		inputs = []*graph.Value{codes, n.In(1), scales, zeros}
		attrs = []graph.Attr{{Name: "bits", Value: int64(f.bits())}, {Name: "block_size", Value: int64(f.Block)},
			{Name: "gather_axis", Value: int64(0)}, {Name: "quantize_axis", Value: int64(1)}}
		n.Op = "GatherBlockQuantized"
	}
	for len(inputs) > 0 && inputs[len(inputs)-1] == nil {
		inputs = inputs[:len(inputs)-1]
	}
	n.Domain, n.Version, n.Inputs, n.Attrs = op.Microsoft, 1, inputs, attrs
}

// before puts a Cast before the site's node.
func (s *site) before(v *graph.Value, to graph.DType, name string) *graph.Value {
	return s.insert(s.cast(v, to, name))
}

// insert puts a node before the site's, and returns its output.
func (s *site) insert(n *graph.Node) *graph.Value {
	s.g.Nodes = slices.Insert(s.g.Nodes, slices.Index(s.g.Nodes, s.n), n)
	return n.Outputs[0]
}

// cast makes a Cast of the site's provenance.
func (s *site) cast(v *graph.Value, to graph.DType, name string) *graph.Node {
	c := s.node("Cast", to, name, v)
	c.SetAttr("to", int64(to))
	return c
}

// product puts a Mul of float32 before the site's node; y goes along x.
func (s *site) product(x, y *graph.Value, name string) *graph.Value {
	return s.insert(s.node("Mul", graph.Float32, name, x, y))
}

// node makes one of the site's provenance, with an output of the first input's shape.
func (s *site) node(operator string, d graph.DType, name string, in ...*graph.Value) *graph.Node {
	n := s.g.NewNode("", operator, passes.Opset, in, name)
	n.Name, n.Path, n.Target, n.Cause = s.n.Name, s.n.Path, s.n.Target, s.n.Cause
	n.Outputs[0].Type = graph.Type{DType: d, Shape: in[0].Type.Shape, Space: s.n.Out(0).Type.Space}
	return n
}

// weightBytes adds up all constants of the graphs, each once.
func weightBytes(phases []Phase) int64 {
	sum, seen := int64(0), map[any]bool{}
	for _, ph := range phases {
		for _, n := range ph.Graph.Nodes {
			n.Reads(func(v *graph.Value) {
				if v.Const != nil && !seen[v.Const.DataKey()] {
					seen[v.Const.DataKey()] = true
					sum += v.Const.Size()
				}
			})
		}
	}
	return sum
}
