package tests

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// TestEmpty gives every operator its own cases with extents of 0 and with tensors
// without axes: inference and Eval give a result or an error that says why not, and
// never disagree; the host's kernels give what Eval gives, over one space and over a
// copy of nothing.
func TestEmpty(t *testing.T) {
	table := op.All()
	devices := newDevices(t, table)
	given, ran := 0, 0
	for _, o := range table.Sorted() {
		if o.Random || o.Domain == op.Mnnconv && o.Name == "Copy" {
			continue
		}
		results, takes := 0, false
		for _, k := range o.Cases() {
			if len(k.Bodies) > 0 {
				continue
			}
			takes = takes || len(emptied(k.In)) > 0
			for _, x := range emptied(k.In) {
				name := fmt.Sprintf("%s %s, %s: %s", o.Domain, o.Name, k.Name, x.name)
				want := emptyResult(t, table, o, &k, x.in, name)
				if want == nil {
					continue
				}
				results++
				if devices.run(t, o, &k, x.in, want, name) {
					ran++
				}
			}
		}
		given += results
		if results == 0 && takes && !noEmpty[o.Name] {
			t.Errorf("%s %s takes no empty tensor at all", o.Domain, o.Name)
		}
	}
	t.Logf("%d results, %d of them of kernels", given, ran)
}

// noEmpty lists the operators that are not defined over anything empty.
var noEmpty = map[string]bool{
	"AffineGrid": true, // an input's numbers say how many there are
}

// variant is what comes instead of a case's inputs.
type variant struct {
	name string
	in   []*graph.Tensor
}

// emptied makes the variants of inputs: an extent is 0 wherever it stands, or at one
// axis of one input; one input is empty, or has one element and no axis.
func emptied(in []*graph.Tensor) []variant {
	var out []variant
	with := func(name string, change func(i int, x *graph.Tensor) *graph.Tensor) {
		v := variant{name, slices.Clone(in)}
		for i, x := range in {
			if x != nil && x.Kind == graph.TensorKind && x.DType != graph.String {
				v.in[i] = change(i, x)
			}
		}
		out = append(out, v)
	}
	extents := map[int64]bool{}
	for i, x := range in {
		if x == nil || x.Kind != graph.TensorKind || x.DType == graph.String {
			continue
		}
		only := func(f func(x *graph.Tensor) *graph.Tensor) func(int, *graph.Tensor) *graph.Tensor {
			return func(j int, x *graph.Tensor) *graph.Tensor {
				if i != j {
					return x
				}
				return f(x)
			}
		}
		for axis, n := range x.Shape {
			extents[n] = true
			with(fmt.Sprintf("input %d has 0 at axis %d", i, axis), only(func(x *graph.Tensor) *graph.Tensor { return zeroed(x, func(a int, _ int64) bool { return a == axis }) }))
		}
		if x.Len() > 0 {
			with(fmt.Sprintf("input %d has no axis", i), only(scalar))
		}
		with(fmt.Sprintf("input %d is empty", i), only(func(x *graph.Tensor) *graph.Tensor { return empty(x.DType, 0) }))
	}
	for n := range extents {
		with(fmt.Sprintf("0 for %d", n), func(_ int, x *graph.Tensor) *graph.Tensor {
			return zeroed(x, func(_ int, m int64) bool { return m == n })
		})
	}
	return out
}

func empty(d graph.DType, shape ...int64) *graph.Tensor {
	t, err := graph.NewTensor(d, shape...)
	if err != nil {
		panic(err)
	}
	return t
}

// zeroed is x with some extents 0, or x where there are none.
func zeroed(x *graph.Tensor, at func(axis int, n int64) bool) *graph.Tensor {
	shape := slices.Clone(x.Shape)
	for a, n := range shape {
		if at(a, n) {
			shape[a] = 0
		}
	}
	if slices.Equal(shape, x.Shape) {
		return x
	}
	return empty(x.DType, shape...)
}

// scalar is x's first element without an axis.
func scalar(x *graph.Tensor) *graph.Tensor {
	t := empty(x.DType)
	copy(t.Data, x.Data)
	return t
}

// emptyGraph is a graph of one node.
func emptyGraph(o *op.Op, k *op.Case, in []*graph.Tensor) (*graph.Graph, *graph.Node) {
	g := graph.New("empty")
	version := k.Version
	if version == 0 {
		if version = 24; o.Domain != "" {
			version = 1
		}
	}
	ins := make([]*graph.Value, len(in))
	for i, x := range in {
		if x != nil {
			ins[i] = g.NewInput(fmt.Sprintf("in%d", i), x.Type())
		}
	}
	names := make([]string, len(k.Want))
	for i, w := range k.Want {
		if w != nil {
			names[i] = fmt.Sprintf("out%d", i)
		}
	}
	n := g.NewNode(o.Domain, o.Name, version, ins, names...)
	n.Attrs = k.Attrs
	g.Append(n)
	for _, v := range n.Outputs {
		if v != nil {
			g.Outputs = append(g.Outputs, v)
		}
	}
	return g, n
}

// emptyResult is what Eval gives, or nil if it refuses. It must refuse what inference
// refuses only if it cannot be computed, and give what inference says.
func emptyResult(t *testing.T, table op.Table, o *op.Op, k *op.Case, in []*graph.Tensor, name string) (want []*graph.Tensor) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s: panics: %v", name, r)
			want = nil
		}
	}()
	_, n := emptyGraph(o, k, in)
	refused := op.NewFacts(table).Node(n)
	want, err := table.Eval(context.Background(), n, in, func(*graph.Value) *graph.Tensor { return nil })
	for _, err := range []error{refused, err} {
		if err != nil && !errors.Is(err, op.ErrInput) && !errors.Is(err, op.ErrUnsupported) && !errors.Is(err, graph.ErrType) && !errors.Is(err, graph.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if refused != nil || err != nil {
		return nil
	}
	for i, v := range n.Outputs {
		if v == nil || want[i] == nil {
			continue
		}
		if v.Type.Kind != want[i].Kind || v.Type.Kind == graph.TensorKind && v.Type.DType != want[i].DType {
			t.Errorf("%s: inferred %s, computed %s", name, v.Type, want[i].Type())
		}
		if v.Type.Kind != graph.TensorKind || !v.Type.Shape.Ranked() {
			continue
		}
		if len(v.Type.Shape) != len(want[i].Shape) {
			t.Errorf("%s: inferred %s, computed %s", name, v.Type, want[i].Type())
			continue
		}
		for a, d := range v.Type.Shape {
			if m, ok := d.Int(); ok && m != want[i].Shape[a] {
				t.Errorf("%s: inferred %s, computed %s", name, v.Type, want[i].Type())
			}
		}
	}
	return want
}

// emptyDevices run graphs of one node on cpu, and on a simulated device.
type emptyDevices struct {
	table   op.Table
	targets []partition.Target
	devices map[string]runtime.Device
}

func newDevices(t *testing.T, table op.Table) *emptyDevices {
	t.Helper()
	x := &emptyDevices{table: table, devices: map[string]runtime.Device{}}
	for _, b := range []runtime.Backend{&cpu.Backend{Table: table}, &sim.Backend{Table: table}} {
		p, err := b.Profile(0)
		if err != nil {
			t.Fatal(err)
		}
		d, err := b.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
		x.targets = append(x.targets, partition.Target{Profile: p, Lowerer: b})
		x.devices[p.Name] = d
	}
	return x
}

// run runs the node on each device that takes it.
func (x *emptyDevices) run(t *testing.T, o *op.Op, k *op.Case, in, want []*graph.Tensor, name string) (ran bool) {
	t.Helper()
	for _, place := range []string{"cpu", "sim:0"} {
		g, n := emptyGraph(o, k, in)
		if op.NewFacts(x.table).Node(n) != nil || !fixed(n.Outputs) {
			return false
		}
		rules, err := partition.ParseRules(place)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := partition.Build("empty", g, rules, x.targets)
		if errors.Is(err, partition.ErrPlacement) {
			continue
		}
		if err != nil {
			t.Errorf("%s: on %s: %v", name, place, err)
			continue
		}
		got, err := x.attempt(plan, in)
		if err != nil {
			t.Errorf("%s: on %s: %v", name, place, err)
			continue
		}
		ran = true
		i := 0
		for j, w := range want {
			if k.Want[j] == nil {
				continue
			}
			if err := nearlySame(got[i], w); err != nil {
				t.Errorf("%s: on %s: %v", name, place, err)
			}
			i++
		}
	}
	return ran
}

func fixed(values []*graph.Value) bool {
	for _, v := range values {
		if v == nil {
			continue
		}
		if _, ok := v.Type.Shape.Ints(); !ok || v.Type.Kind != graph.TensorKind {
			return false
		}
	}
	return true
}

func (x *emptyDevices) attempt(plan *partition.Plan, in []*graph.Tensor) (got []*graph.Tensor, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panics: %v", r)
		}
	}()
	e, err := runtime.NewExecutor(plan, x.devices)
	if err != nil {
		return nil, err
	}
	s := e.NewSession(nil, nil, runtime.Schedule{})
	var given []*graph.Tensor
	for _, x := range in {
		if x != nil {
			given = append(given, x)
		}
	}
	outs, err := s.Run(context.Background(), given)
	for _, o := range outs {
		kept := *o // the session's own memory goes with it
		kept.Data = slices.Clone(o.Data)
		got = append(got, &kept)
	}
	return got, errors.Join(err, s.Close(), e.Close())
}

// nearlySame compares with Eval's result, by one rounding.
func nearlySame(got, want *graph.Tensor) error {
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		return fmt.Errorf("got %s, want %s", got.Type(), want.Type())
	}
	if want.DType == graph.String {
		return nil
	}
	g, err := got.Float64s()
	w, err2 := want.Float64s()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	for i := range w {
		if d := math.Abs(g[i] - w[i]); !(d <= 1e-2+1e-2*math.Abs(w[i])) && g[i] != w[i] && !(math.IsNaN(g[i]) && math.IsNaN(w[i])) {
			return fmt.Errorf("element %d: got %v, want %v", i, g[i], w[i])
		}
	}
	return nil
}
