package tests

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/runtime"
)

// mutation is one fault at one boundary.
type mutation struct {
	edge *partition.Contract
	kind string
	// plan breaks the plan or the contract's terms and returns what undoes that;
	// nil: the fault is in the data.
	plan func() (undo func())
	// reads is what the reader takes the tensor for: tried one after the other until
	// one does harm.
	reads []func(*graph.Tensor) *graph.Tensor
}

// TestMutations enumerates boundary × kind of fault from the contracts' own fields,
// and wants each found, before anything runs or at its boundary, as a violation
// that names the edge. With the checks off each does harm: other bits, or an error
// deeper down. Unmutated controls pass.
func TestMutations(t *testing.T) {
	for _, export := range []string{"tjs-fp16", "tjs-q4f16", "olive-cpu-int4"} {
		t.Run(export, func(t *testing.T) {
			b := newBench(t, export, "vision=sim:0,llm.layers.2-3=sim:1")
			control := b.controls(t)
			saved := partition.Contracts(b.plans, b.terms)
			tried := map[string]int{}
			off, err := b.open("none", "")
			if err != nil {
				t.Fatal(err)
			}
			on, err := b.open("values", "")
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := errors.Join(off.close(), on.close()); err != nil {
					t.Error(err)
				}
			}()
			for i := range saved.Contracts {
				for _, m := range b.mutations(&saved.Contracts[i]) {
					tried[m.kind]++
					name := m.edge.Name() + ": " + m.kind
					if err := b.find(m, saved, on); err == nil || !strings.Contains(err.Error(), m.edge.Name()) && !b.namesInput(m, err) || class(err) == 0 {
						t.Errorf("%s: not found: %v", name, err)
					}
					if !b.harms(m, off, control) {
						t.Errorf("%s: does no harm", name)
					}
				}
			}
			b.fault.edit = nil
			for _, o := range []*opened{off, on} { // what was refused leaves nothing behind
				if got, err := b.run(o); err != nil || !bytes.Equal(got, control) {
					t.Errorf("the control after all mutations: other bits, or %v", err)
				}
			}
			t.Logf("%v", tried)
		})
	}
}

// class is the exit code of a violation.
func class(err error) int {
	switch {
	case errors.Is(err, partition.ErrMemory), errors.Is(err, partition.ErrLimit):
		return 8
	case errors.Is(err, partition.ErrPlacement):
		return 6
	case errors.Is(err, partition.ErrContract):
		return 5
	}
	return 0
}

// controls runs the unmutated model with every kind of check.
func (b *bench) controls(t *testing.T) (control []byte) {
	for _, checks := range []string{"none", "shapes", "values"} {
		o, err := b.open(checks, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.run(o)
		if err != nil {
			t.Fatalf("control with checks of %s: %v", checks, err)
		}
		if control == nil {
			control = got
		}
		if !bytes.Equal(got, control) {
			t.Errorf("control with checks of %s gives other bits", checks)
		}
		if err := o.close(); err != nil {
			t.Error(err)
		}
	}
	return control
}

// find returns what the checker says of a mutation.
func (b *bench) find(m mutation, saved *partition.ContractSet, on *opened) error {
	if m.plan == nil {
		b.fault.phase, b.fault.value, b.fault.edit = m.edge.Phase, m.edge.Value, m.reads[0]
		defer func() { b.fault.edit = nil }()
		_, err := b.run(on)
		return err
	}
	undo := m.plan()
	defer undo()
	now := partition.Contracts(b.plans, b.terms)
	return errors.Join(now.Check(b.plans, b.terms), now.Match(saved))
}

// namesInput accepts an input's own edge, from the caller, in place of the copy
// that carries it on: data are checked when they come.
func (b *bench) namesInput(m mutation, err error) bool {
	return m.plan == nil && strings.Contains(err.Error(), m.edge.Phase+": "+m.edge.Value+", caller → cpu")
}

// harms reports whether a run without checks gives other bits, or an error.
func (b *bench) harms(m mutation, off *opened, control []byte) bool {
	defer func() { b.fault.edit = nil }()
	b.fault.phase, b.fault.value, b.fault.derive = m.edge.Phase, m.edge.Value, strings.HasPrefix(m.kind, "placeholders")
	defer func() { b.fault.derive = false }()
	for _, b.fault.edit = range m.reads {
		if got, err := b.run(off); err != nil || !bytes.Equal(got, control) {
			return true
		}
	}
	if m.plan == nil || len(m.reads) > 0 {
		return false
	}
	undo := m.plan() // the runtime runs the broken plan itself
	defer undo()
	o, err := b.open("none", "")
	if err != nil {
		return true
	}
	got, err := b.run(o)
	return errors.Join(err, o.close()) != nil || !bytes.Equal(got, control)
}

// value finds a value of a phase's graph.
func (b *bench) value(phase, name string) (*partition.Plan, *graph.Value) {
	for _, p := range b.plans {
		if p.Phase != phase {
			continue
		}
		for _, v := range p.Graph.Inputs {
			if v.Name == name {
				return p, v
			}
		}
		for _, n := range p.Graph.Nodes {
			for _, v := range n.Outputs {
				if v != nil && v.Name == name {
					return p, v
				}
			}
		}
	}
	panic("tests: no value " + phase + "/" + name)
}

// mutations enumerates the faults that apply to a boundary.
func (b *bench) mutations(c *partition.Contract) []mutation {
	p, v := b.value(c.To.Phase, c.To.Value)
	out := b.typeFaults(c, v)
	if c.Edge == partition.CopyEdge {
		out = append(out, b.copyFaults(c, p, v)...)
	}
	if c.MostBytes > 0 && v.Type.Shape != nil && c.Largest > 0 && c.To.Space != "cpu" {
		out = append(out, b.limitFault(c, v)...)
	}
	return append(out, dataFaults(c, v)...)
}

// typeFaults changes what the plan says of a tensor: the reader takes its bytes
// for something else.
func (b *bench) typeFaults(c *partition.Contract, v *graph.Value) []mutation {
	var out []mutation
	add := func(kind string, t graph.Type, reads ...func(*graph.Tensor) *graph.Tensor) {
		out = append(out, mutation{c, kind, func() func() {
			was := v.Type
			t.Space = was.Space
			v.Type = t
			return func() { v.Type = was }
		}, reads})
	}
	with := func(s graph.Shape) graph.Type { t := v.Type; t.Shape = s; return t }
	kinds := map[graph.DType]struct {
		kind string
		to   graph.DType
	}{graph.Float32: {"fp16 for fp32", graph.Float16}, graph.Float16: {"fp32 for fp16", graph.Float32},
		graph.Int64: {"index width 32 for 64", graph.Int32}, graph.Int32: {"index width 64 for 32", graph.Int64}}
	one := v.Type.DType == graph.Int64 && v.Type.Shape.Elements().IsConst(1) // reads the same as 32 bits
	if k, ok := kinds[v.Type.DType]; ok && !one {
		t := v.Type
		t.DType = k.to
		add(k.kind, t, func(x *graph.Tensor) *graph.Tensor { return misreadDType(x, k.to) })
	}
	s := v.Type.Shape
	if len(s) > 0 {
		add("rank", with(s[1:]),
			func(x *graph.Tensor) *graph.Tensor { st := strides(x.Shape); st[0] = 0; return misread(x, st) },
			func(x *graph.Tensor) *graph.Tensor { return resized(x, x.Shape[1:]) })
	}
	for i, d := range s {
		longer := slices.Clone(s)
		longer[i] = d.Add(graph.Const(1))
		kind := fmt.Sprintf("extent %d", i)
		if _, isConst := d.Int(); isConst && i == len(s)-1 && v.Type.DType.IsFloat() {
			kind = "hidden size"
		}
		plus := func(x *graph.Tensor) []int64 { y := slices.Clone(x.Shape); y[i]++; return y }
		add(kind, with(longer),
			func(x *graph.Tensor) *graph.Tensor { return misread(x, strides(plus(x))) },
			func(x *graph.Tensor) *graph.Tensor { return resized(x, plus(x)) },
			func(x *graph.Tensor) *graph.Tensor { return short(x, i) })
		if i+1 < len(s) && !s[i].Equal(s[i+1]) {
			swapped := slices.Clone(s)
			swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
			turned := func(x *graph.Tensor) []int64 { y := slices.Clone(x.Shape); y[i], y[i+1] = y[i+1], y[i]; return y }
			add("axes swapped", with(swapped), func(x *graph.Tensor) *graph.Tensor {
				st := strides(turned(x))
				st[i], st[i+1] = st[i+1], st[i]
				return misread(x, st)
			}, func(x *graph.Tensor) *graph.Tensor { return resized(x, turned(x)) })
		}
	}
	return out
}

// copyFaults leaves a copy out, or sends it elsewhere.
func (b *bench) copyFaults(c *partition.Contract, p *partition.Plan, v *graph.Value) []mutation {
	replace := func(from, to *graph.Value) {
		swap := func(list []*graph.Value) {
			for i, x := range list {
				if x == from {
					list[i] = to
				}
			}
		}
		for _, n := range p.Graph.Nodes {
			if n != v.Def {
				swap(n.Inputs)
			}
		}
		for _, part := range p.Partitions() {
			swap(part.Inputs)
		}
		swap(p.Graph.Outputs)
	}
	src := v.Def.Inputs[0]
	return []mutation{
		{c, "copy missing", func() func() {
			type place struct {
				list []*graph.Value
				i    int
			}
			var at []place // readers of the source itself stay its readers
			note := func(list []*graph.Value) {
				for i, x := range list {
					if x == v {
						at = append(at, place{list, i})
					}
				}
			}
			for _, n := range p.Graph.Nodes {
				note(n.Inputs)
			}
			for _, part := range p.Partitions() {
				note(part.Inputs)
			}
			note(p.Graph.Outputs)
			replace(v, src)
			return func() {
				for _, x := range at {
					x.list[x.i] = v
				}
			}
		}, nil},
		{c, "copy to the wrong space", func() func() {
			was := v.Type.Space
			for _, other := range []graph.Space{"sim:1", "sim:0"} {
				if other != was && other != src.Type.Space {
					v.Type.Space = other
				}
			}
			return func() { v.Type.Space = was }
		}, nil},
	}
}

// limitFault asks for sessions whose tensor no device holds.
func (b *bench) limitFault(c *partition.Contract, v *graph.Value) []mutation {
	symbols := map[string]bool{}
	for _, d := range v.Type.Shape {
		d.Symbols(symbols)
	}
	if len(symbols) == 0 {
		return nil
	}
	bounds := b.terms.Bounds[c.To.Phase]
	raise := func() func() {
		was := graph.Env{}
		for s := range symbols {
			was[s] = bounds[s]
			bounds[s] = 1 << 36
		}
		return func() {
			for s, n := range was {
				bounds[s] = n
			}
		}
	}
	return []mutation{{c, "limit exceeded", raise, []func(*graph.Tensor) *graph.Tensor{func(x *graph.Tensor) *graph.Tensor {
		defer raise()()
		size, err := partition.SizeOf(v.Type, bounds)
		if err == nil {
			var mem runtime.Buffer
			if mem, err = b.devices[c.To.Space].Alloc(size, runtime.DeviceMemory); err == nil {
				panic(mem.Close())
			}
		}
		panic(err) // deeper down: the device has no such memory
	}}}}
}

// dataFaults change the tensor itself.
func dataFaults(c *partition.Contract, v *graph.Value) []mutation {
	var out []mutation
	add := func(kind string, edit func(*graph.Tensor)) {
		out = append(out, mutation{c, kind, nil, []func(*graph.Tensor) *graph.Tensor{func(x *graph.Tensor) *graph.Tensor { edit(x); return x }}})
	}
	if c.Edge == partition.PassEdge { // within one space nothing stops to be looked at
		return nil
	}
	input := v.Def == nil || v.Def.Inputs[0].Def == nil
	if c.DType == "float32" || c.DType == "float16" {
		for kind, x := range map[string]float32{"not a number": float32(math.NaN()), "infinity": float32(math.Inf(1))} {
			add(kind, func(t *graph.Tensor) { set(t, t.Len()-1, x) })
		}
		if input && len(v.Type.Shape) == 2 {
			out = append(out, mutation{c, "transposed rows", nil, []func(*graph.Tensor) *graph.Tensor{transposed}})
		}
	}
	for _, r := range c.Relations {
		switch r.Kind {
		case partition.Bounded, partition.Permutation, partition.Inverse, partition.Consecutive:
			add("index out of range: "+r.Text, func(t *graph.Tensor) { put(t, row(t, r), 1<<30) })
		case partition.Ascending:
			add("boundaries out of order", func(t *graph.Tensor) { put(t, 1, -1) })
		case partition.Count:
			for _, token := range []int64{r.Tokens[0], 5} { // one more, one fewer
				add(fmt.Sprintf("placeholders: a token becomes %d", token), func(t *graph.Tensor) {
					ids := graph.View[int64](t)[:t.Shape[2]]
					i := slices.IndexFunc(ids, func(id int64) bool { return (id == r.Tokens[0]) != (token == r.Tokens[0]) })
					ids[i] = token
				})
			}
		}
		if r.Kind == partition.Inverse {
			add("window order", func(t *graph.Tensor) { exchange(t, 0, t.Len()-1) })
		}
	}
	return out
}

// row is the first element that a relation looks at.
func row(t *graph.Tensor, r partition.Relation) int {
	if len(r.Rows) != 2 {
		return 0
	}
	return r.Rows[0] * t.Len() / int(t.Shape[0])
}

func put(t *graph.Tensor, i int, x int64) {
	if t.DType == graph.Int32 {
		graph.View[int32](t)[i] = int32(x)
		return
	}
	graph.View[int64](t)[i] = x
}

func set(t *graph.Tensor, i int, x float32) {
	if t.DType == graph.Float16 {
		graph.View[uint16](t)[i] = graph.F32ToF16(x)
		return
	}
	graph.View[float32](t)[i] = x
}

func exchange(t *graph.Tensor, i, j int) {
	w := t.DType.Bits() / 8
	a, b := t.Data[i*w:(i+1)*w], t.Data[j*w:(j+1)*w]
	keep := bytes.Clone(a)
	copy(a, b)
	copy(b, keep)
}

// strides are those of a row-major tensor, in elements.
func strides(shape []int64) []int64 {
	st := make([]int64, len(shape))
	n := int64(1)
	for i, d := range slices.Backward(shape) {
		st[i] = n
		n *= d
	}
	return st
}

// misread is the tensor that a reader sees who walks its bytes with other strides;
// beyond the end there are zeros.
func misread(x *graph.Tensor, st []int64) *graph.Tensor {
	y := &graph.Tensor{DType: x.DType, Shape: x.Shape, Data: make([]byte, len(x.Data))}
	w := int64(x.DType.Bits() / 8)
	own := strides(x.Shape)
	for e := range int64(x.Len()) {
		at := int64(0)
		for a := range x.Shape {
			at += e / own[a] % x.Shape[a] * st[a]
		}
		if (at+1)*w <= int64(len(x.Data)) {
			copy(y.Data[e*w:(e+1)*w], x.Data[at*w:(at+1)*w])
		}
	}
	return y
}

// misreadDType is the tensor that a reader sees who takes the bytes for another
// dtype.
func misreadDType(x *graph.Tensor, d graph.DType) *graph.Tensor {
	as := resized(&graph.Tensor{DType: d, Data: x.Data}, x.Shape)
	y := &graph.Tensor{DType: x.DType, Shape: x.Shape, Data: make([]byte, len(x.Data))}
	for i := range x.Len() {
		switch d {
		case graph.Float16:
			set(y, i, graph.F16ToF32(graph.View[uint16](as)[i]))
		case graph.Float32:
			set(y, i, graph.View[float32](as)[i])
		case graph.Int32:
			put(y, i, int64(graph.View[int32](as)[i]))
		case graph.Int64:
			put(y, i, graph.View[int64](as)[i])
		}
	}
	return y
}

// resized gives the bytes another shape; what is missing is zero.
func resized(x *graph.Tensor, shape []int64) *graph.Tensor {
	y, err := graph.NewTensor(x.DType, shape...)
	if err != nil {
		panic(err)
	}
	copy(y.Data, x.Data)
	return y
}

// short is the tensor that a reader sees who takes one more on an axis than was
// made: nothing is there.
func short(x *graph.Tensor, axis int) *graph.Tensor {
	y := &graph.Tensor{DType: x.DType, Shape: x.Shape, Data: bytes.Clone(x.Data)}
	w := int64(x.DType.Bits() / 8)
	own := strides(x.Shape)
	for e := range int64(x.Len()) {
		if e/own[axis]%x.Shape[axis] == x.Shape[axis]-1 {
			clear(y.Data[e*w : (e+1)*w])
		}
	}
	return y
}

// transposed swaps the axes of a matrix, data and all.
func transposed(x *graph.Tensor) *graph.Tensor {
	y := misread(&graph.Tensor{DType: x.DType, Shape: []int64{x.Shape[1], x.Shape[0]}, Data: x.Data}, []int64{1, x.Shape[1]})
	return y
}
