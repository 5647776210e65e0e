package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/partition"
	"mnnconv/runtime"
	"mnnconv/runtime/cpu"
	"mnnconv/runtime/sim"
	"mnnconv/schemas/op"
)

// bench runs both phases of an export on one prepared question, with a fault in
// any boundary tensor: of an input before the phase gets it, of another where it
// was made, by a node that stands behind its producer.
type bench struct {
	source  *mnnconv.Source
	plans   []*partition.Plan
	terms   partition.Terms
	set     *partition.ContractSet
	devices map[string]runtime.Device
	prompt  map[string]*graph.Tensor // the case's arrays
	rows    *graph.Tensor            // what the vision tower makes of the picture
	fault   struct {
		phase, value string
		edit         func(*graph.Tensor) *graph.Tensor
		derive       bool // places of rows follow from the faulty ids
	}
}

// newBench loads, plans and opens; made names the values that get a fault node.
func newBench(t *testing.T, export, place string) *bench {
	t.Helper()
	b := &bench{devices: map[string]runtime.Device{}}
	for _, c := range Cases(t, "tjs-q4f16") {
		if c.Name == "wide" {
			b.prompt = c.Inputs
		}
	}
	table := op.All()
	table[op.Key{Domain: "test", Name: "Fault"}] = &op.Op{Domain: "test", Name: "Fault", Inputs: []string{"x"}, Outputs: []string{"y"}, Attrs: []string{"at"},
		Eval: func(c *op.Call) error {
			x := c.Arg(0)
			y := &graph.Tensor{DType: x.DType, Shape: slices.Clone(x.Shape), Data: bytes.Clone(x.Data)}
			if b.fault.edit != nil && c.Node.Str("at", "") == b.fault.phase+"/"+b.fault.value {
				y = b.fault.edit(y)
			}
			c.Set(0, y)
			return nil
		}}
	o := mnnconv.Options{Load: models.Options{Table: table}, Models: []models.Kind{qwen25vl.Kind}, Place: place,
		Backends: []runtime.Backend{&cpu.Backend{Table: table, Threads: 1}, &sim.Backend{Table: table, Threads: 1}}}
	dir := Export(t, export)
	made := crossing(t, dir, o)
	var err error
	if b.source, err = mnnconv.Load(dir, o); err != nil {
		t.Fatal(err)
	}
	for _, ph := range b.source.Phases {
		insertFaults(ph.Name, ph.Graph, made)
	}
	if b.plans, err = mnnconv.Plan(b.source, o); err != nil {
		t.Fatal(err)
	}
	if err := b.source.MakeWeights(); err != nil {
		t.Fatal(err)
	}
	b.terms = b.source.Model.Terms(256)
	b.set = partition.Contracts(b.plans, b.terms)
	if err := b.set.Check(b.plans, b.terms); err != nil {
		t.Fatalf("unmutated: %v", err)
	}
	names := map[string]bool{"cpu": true}
	for _, p := range b.plans {
		for _, part := range p.Partitions() {
			names[part.Target] = true
		}
	}
	for name := range names {
		kind, ordinal, _ := strings.Cut(name, ":")
		i, _ := strconv.Atoi(ordinal)
		at := slices.IndexFunc(o.Backends, func(x runtime.Backend) bool { return x.Name() == kind })
		profile, err := o.Backends[at].Profile(i)
		if err != nil {
			t.Fatal(err)
		}
		if b.devices[name], err = o.Backends[at].Open(profile); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for name, d := range b.devices {
			if err := d.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := b.source.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// crossing names the values, phase/name, that cross a boundary and that nodes make.
func crossing(t *testing.T, dir string, o mnnconv.Options) map[string]bool {
	t.Helper()
	s, err := mnnconv.Load(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plans, err := mnnconv.Plan(s, o)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for _, c := range partition.Contracts(plans, s.Model.Terms(0)).Contracts {
		if c.Edge == partition.CopyEdge || c.Edge == partition.PassEdge || c.Edge == partition.OutputEdge {
			made[c.Phase+"/"+c.Value] = true
		}
	}
	return made
}

// insertFaults puts a fault node behind the producers of the named values, which
// takes their names.
func insertFaults(phase string, g *graph.Graph, made map[string]bool) {
	var nodes []*graph.Node
	for _, n := range g.Nodes {
		nodes = append(nodes, n)
		for _, v := range n.Outputs {
			at := ""
			if v != nil {
				at = phase + "/" + v.Name
			}
			if !made[at] {
				continue
			}
			f := g.NewNode("test", "Fault", 1, []*graph.Value{v}, v.Name)
			v.Name += ".sound"
			f.Path, f.Outputs[0].Type = n.Path, v.Type
			f.SetAttr("at", at)
			g.Replace(map[*graph.Value]*graph.Value{v: f.Outputs[0]})
			f.Inputs[0] = v
			nodes = append(nodes, f)
		}
	}
	g.Nodes = nodes
}

// opened are the sessions of one run.
type opened struct {
	arenas    *runtime.Arenas
	states    runtime.States
	executors map[string]*runtime.Executor
	sessions  map[string]*runtime.Session
}

func (b *bench) open(checks, schedule string) (o *opened, err error) {
	c, err := runtime.ParseChecks(checks)
	if err != nil {
		return nil, err
	}
	order, err := runtime.ParseSchedule(schedule)
	if err != nil {
		return nil, err
	}
	o = &opened{executors: map[string]*runtime.Executor{}, sessions: map[string]*runtime.Session{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	var all []*runtime.Executor
	for _, p := range b.plans {
		e, err := runtime.NewExecutor(p, b.devices)
		if err != nil {
			return o, err
		}
		o.executors[p.Phase] = e
		all = append(all, e)
	}
	if o.arenas, err = runtime.NewArenas(b.terms.Bounds, all...); err != nil {
		return o, err
	}
	if o.states, err = o.executors["extend"].NewStates(b.terms.Bounds["extend"]); err != nil {
		return o, err
	}
	for phase, e := range o.executors {
		o.sessions[phase] = e.NewSession(o.states, o.arenas, order)
		o.sessions[phase].Check(c.With(b.set))
	}
	return o, nil
}

func (o *opened) close() error {
	var errs []error
	for _, s := range o.sessions {
		errs = append(errs, s.Close())
	}
	if o.states != nil {
		errs = append(errs, o.states.Close())
	}
	if o.arenas != nil {
		errs = append(errs, o.arenas.Close())
	}
	for _, e := range o.executors {
		errs = append(errs, e.Close())
	}
	return errors.Join(errs...)
}

// run runs both phases and returns the bits of what comes out. The vision tower runs again
// only where the fault is in it.
func (b *bench) run(o *opened) (bits []byte, err error) {
	defer func() { // an index out of range in a kernel is an error deeper down
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	rows := b.rows
	if rows == nil || b.fault.phase != "extend" {
		outs, err := b.phase(o, "encode", b.encodeInputs)
		if err != nil {
			return nil, err
		}
		rows = &graph.Tensor{DType: outs[0].DType, Shape: slices.Clone(outs[0].Shape), Data: bytes.Clone(outs[0].Data)}
	}
	if b.fault.edit == nil {
		b.rows = rows
	}
	outs, err := b.phase(o, "extend", func(g *graph.Graph) ([]*graph.Tensor, error) { return b.extendInputs(g, rows) })
	if err != nil {
		return nil, err
	}
	for _, t := range outs {
		if t != nil { // no state
			bits = append(bits, t.Data...)
		}
	}
	return bits, nil
}

func (b *bench) phase(o *opened, phase string, fill func(*graph.Graph) ([]*graph.Tensor, error)) ([]*graph.Tensor, error) {
	g := o.executors[phase].Plan().Graph
	ins, err := fill(g)
	if err != nil {
		return nil, err
	}
	for i, v := range g.Inputs {
		if b.fault.edit != nil && b.fault.phase == phase && b.fault.value == v.Name && ins[i] != nil {
			ins[i] = b.fault.edit(&graph.Tensor{DType: ins[i].DType, Shape: slices.Clone(ins[i].Shape), Data: bytes.Clone(ins[i].Data)})
		}
	}
	return o.sessions[phase].Run(context.Background(), ins)
}

// encodeInputs fills the vision tower's inputs by their canonical names.
func (b *bench) encodeInputs(g *graph.Graph) ([]*graph.Tensor, error) {
	thw := graph.View[int64](b.prompt["grid_thw"])
	grid := qwen25vl.Grid{T: thw[0], H: thw[1], W: thw[2]}
	ix, err := qwen25vl.NewIndexes(qwen25vl.Geometry{Merge: 2, Window: 4}, grid)
	if err != nil {
		return nil, err
	}
	axis := make([]int64, max(grid.H, grid.W))
	for i := range axis {
		axis[i] = int64(i)
	}
	meanings := map[string][]int64{"window_index": ix.WindowIndex, "reverse_window_index": ix.ReverseIndex, "cu_seqlens": ix.CuSeqlens,
		"cu_window_seqlens": ix.CuWindow, "patch_positions": ix.Positions, "axis_positions": axis}
	env := graph.Env{"rows": int64(len(ix.WindowIndex)), "cu_seqlens.length": int64(len(ix.CuSeqlens)),
		"cu_window_seqlens.length": int64(len(ix.CuWindow)), "axis_positions.length": int64(len(axis))}
	var ins []*graph.Tensor
	for _, v := range g.Inputs {
		shape, err := v.Type.Shape.Eval(env)
		if err != nil {
			return nil, err
		}
		t, err := graph.NewTensor(v.Type.DType, shape...)
		if err != nil {
			return nil, err
		}
		values, known := meanings[v.Name]
		switch {
		case v.Name == "pixel_values":
			f, err := b.prompt["pixel_values"].Float32s()
			if err != nil {
				return nil, err
			}
			err = t.SetFloat32s(f)
			if err != nil {
				return nil, err
			}
		case !known:
			return nil, fmt.Errorf("input %q has no known meaning", v.Name)
		case v.Type.DType == graph.Int64:
			copy(graph.View[int64](t), values)
		default:
			for i, x := range values {
				graph.View[int32](t)[i] = int32(x)
			}
		}
		ins = append(ins, t)
	}
	return ins, nil
}

// imageToken marks image rows in the small model's prompts.
func (b *bench) imageToken() int64 {
	for _, r := range b.terms.Relations {
		if r.Kind == partition.Count {
			return r.Tokens[0]
		}
	}
	return -1
}

// extendInputs fills the step, and the rows with their places.
func (b *bench) extendInputs(g *graph.Graph, rows *graph.Tensor) ([]*graph.Tensor, error) {
	ids := graph.View[int64](b.prompt["input_ids"])
	step := append(slices.Clone(ids), graph.View[int64](b.prompt["position_ids"])...)
	var at []int64
	for i, id := range ids {
		step = append(step, int64(i))
		if id == b.imageToken() {
			at = append(at, 0, int64(i))
		}
	}
	named := map[string]*graph.Tensor{"step": graph.Ints(step, 5, 1, int64(len(ids))), "image_rows": rows,
		"image_rows_at": graph.Ints(at, int64(len(at)/2), 2)}
	if b.fault.derive && b.fault.edit != nil && b.fault.value == "step" {
		at = nil
		for i, id := range graph.View[int64](b.fault.edit(graph.Ints(step, 5, 1, int64(len(ids)))))[:len(ids)] {
			if id == b.imageToken() {
				at = append(at, 0, int64(i))
			}
		}
		named["image_rows_at"] = graph.Ints(at, int64(len(at)/2), 2)
	}
	var ins []*graph.Tensor
	for _, v := range g.Inputs {
		ins = append(ins, named[v.Name])
	}
	return ins, nil
}
