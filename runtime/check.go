package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
)

// Checks say what a session checks of its boundary tensors at each run.
type Checks struct {
	level     checkLevel
	contracts *partition.ContractSet
}

type checkLevel uint8

const (
	checkShapes checkLevel = iota // the default: it costs next to nothing
	checkNone
	checkValues
)

// ParseChecks reads "shapes" or "" (real shapes against contracts), "values" (also
// the values, where they lie) or "none".
func ParseChecks(text string) (Checks, error) {
	levels := map[string]checkLevel{"": checkShapes, "shapes": checkShapes, "none": checkNone, "values": checkValues}
	level, ok := levels[text]
	if !ok {
		return Checks{}, fmt.Errorf("%w %q: expected shapes, values or none", ErrChecks, text)
	}
	return Checks{level: level}, nil
}

// With gives the checks the contracts whose demands on values they check.
func (c Checks) With(set *partition.ContractSet) Checks {
	c.contracts = set
	return c
}

// ValueChecker is a device that checks the values of a tensor in its memory where
// it lies. The event, which comes in the order of the device's queue, ends with an
// error that names the first element that breaks a demand.
type ValueChecker interface {
	CheckValues(b Bound, demands []partition.Relation, env graph.Env, waits []Event) (Event, error)
}

// Check has a session check its runs so. It is called before the first run.
func (s *Session) Check(c Checks) {
	s.checks, s.demands = c.level, map[string][]partition.Relation{}
	if c.level != checkValues || c.contracts == nil {
		return
	}
	s.passed = s.e.plan.Passed()
	for i := range c.contracts.Contracts {
		b := &c.contracts.Contracts[i]
		if b.Phase != s.e.plan.Phase {
			continue
		}
		for _, r := range b.Relations {
			same := func(o partition.Relation) bool { return o.Kind == r.Kind && o.Text == r.Text }
			if r.OfValues() && !slices.ContainsFunc(s.demands[b.Value], same) {
				s.demands[b.Value] = append(s.demands[b.Value], r)
			}
		}
	}
}

// checkInputs gives the symbols of a run their values and checks the inputs' real
// shapes against their contracts and the bounds that the session was opened for.
func (f *frame) checkInputs(inputs []*graph.Tensor) error {
	plan, bounds := f.s.e.plan, f.l.memory.Bounds
	f.env = graph.Env{}
	if f.s.checks == checkNone {
		return nil
	}
	for i, v := range plan.Graph.Inputs {
		t := inputs[i]
		if t == nil {
			b, ok := f.s.state(v.Name)
			if !ok {
				continue // it is missing
			}
			t = &graph.Tensor{DType: b.DType, Shape: b.Shape}
		}
		if err := f.env.Bind(v, t); err != nil {
			return f.broken(v.Name, "caller", v.Type.Space, err)
		}
	}
	for i, v := range plan.Graph.Inputs { // symbols that a later input bound
		if t := inputs[i]; t != nil {
			if err := f.fitsType(v, t.DType, t.Shape); err != nil {
				return f.broken(v.Name, "caller", v.Type.Space, err)
			}
		}
		for _, d := range v.Type.Shape {
			if name, _, _, ok := d.Linear(); ok && bounds[name] > 0 && f.env[name] > bounds[name] {
				return fmt.Errorf("%w: %s: %s, caller → %s: %s is %d by its shape, the session was opened for %d at most; use a larger -c or a smaller input",
					partition.ErrLimit, plan.Phase, v.Name, v.Type.Space, name, f.env[name], bounds[name])
			}
		}
	}
	return nil
}

// broken names the boundary at which a run broke a contract. Where a value that the
// plan itself made has odd numbers, that is a boundaryError.
func (f *frame) broken(value, from string, to graph.Space, err error) error {
	if odd := (*partition.OddError)(nil); errors.As(err, &odd) && from != "caller" {
		return &boundaryError{odd: odd, at: fmt.Sprintf("%s: %s, %s → %s", f.s.e.plan.Phase, value, from, to)}
	}
	return fmt.Errorf("%w: %s: %s, %s → %s: %w", partition.ErrContract, f.s.e.plan.Phase, value, from, to, err)
}

// fitsType checks a real dtype and shape against a value's type. Extents that only
// data tell are not known here and fit.
func (f *frame) fitsType(v *graph.Value, d graph.DType, shape []int64) error {
	t := v.Type
	if t.Kind != graph.TensorKind || !t.Shape.Ranked() {
		return nil
	}
	if d != t.DType || len(shape) != len(t.Shape) {
		return fmt.Errorf("expected %s, found %s%v", t, d, shape)
	}
	for i, dim := range t.Shape {
		if n, err := dim.Eval(f.env); err == nil && n != shape[i] {
			return fmt.Errorf("expected %s, found %s%v: extent %d should be %d (%v)", t, d, shape, i, n, f.env)
		}
	}
	return nil
}

// checkCrossing checks the real shape of what command i is about to copy; the same
// shape is looked at once.
func (f *frame) checkCrossing(i int, src, dst *graph.Value, b Bound) error {
	if seen := f.seen[i]; f.s.checks == checkNone || seen != nil && slices.Equal(seen, b.Shape) {
		return nil
	}
	for _, v := range []*graph.Value{src, dst} {
		if err := f.fitsType(v, b.DType, b.Shape); err != nil {
			return f.broken(src.Name, string(src.Type.Space), dst.Type.Space, err)
		}
	}
	f.seen[i] = slices.Clone(b.Shape)
	return nil
}

// checkInputValues checks the values of the inputs, which lie on the host.
func (f *frame) checkInputValues(inputs []*graph.Tensor) error {
	if f.s.checks != checkValues {
		return nil
	}
	g := f.s.e.plan.Graph
	byName := map[string]*graph.Tensor{}
	for i, v := range g.Inputs {
		byName[v.Name] = inputs[i]
	}
	for i, v := range g.Inputs {
		for _, r := range f.s.demands[v.Name] {
			if inputs[i] == nil {
				break
			}
			if err := r.CheckValues(inputs[i], byName[r.Other], f.env); err != nil {
				return f.broken(v.Name, "caller", v.Type.Space, err)
			}
		}
	}
	return nil
}

// checkCrossingValues checks what is about to be copied on the device that made it,
// after waits. Graph inputs were checked when they came.
func (f *frame) checkCrossingValues(src, dst *graph.Value, b Bound, waits []Event) error {
	if f.s.checks != checkValues || src.Def == nil || len(f.s.demands[src.Name]) == 0 || b.View.Size == 0 {
		return nil
	}
	return f.checkWhere(src, dst.Type.Space, b, waits)
}

// checkWhere checks a value on the device that holds it, after waits.
func (f *frame) checkWhere(v *graph.Value, to graph.Space, b Bound, waits []Event) error {
	d, ok := f.s.e.devices[string(v.Type.Space)].(ValueChecker)
	if !ok {
		return fmt.Errorf("%w: %s cannot check values: run without --check values", ErrChecks, v.Type.Space)
	}
	ev, err := d.CheckValues(b, f.s.demands[v.Name], f.env, waits)
	if err == nil {
		err = ev.Wait(context.Background())
	}
	if err != nil {
		return f.broken(v.Name, string(v.Type.Space), to, err)
	}
	return nil
}

// checkMade checks what a partition has made for others in its own space; what is
// copied is checked by its copy, what goes out when it is read.
func (f *frame) checkMade(p *partition.Partition, outs []Bound, made Event) error {
	if f.s.checks != checkValues {
		return nil
	}
	for i, v := range p.Outputs {
		if !f.s.passed[v] || len(f.s.demands[v.Name]) == 0 || outs[i].View.Size == 0 {
			continue
		}
		if err := f.checkWhere(v, v.Type.Space, outs[i], []Event{made}); err != nil {
			return err
		}
	}
	return nil
}

// checkOutput checks shape and values of a graph output on the host; what a copy
// brought there was checked before it was copied.
func (f *frame) checkOutput(v *graph.Value, t *graph.Tensor) error {
	if f.s.checks == checkNone {
		return nil
	}
	if err := f.fitsType(v, t.DType, t.Shape); err != nil {
		return f.broken(v.Name, string(v.Type.Space), "caller", err)
	}
	if f.s.checks != checkValues {
		return nil
	}
	for _, r := range f.s.demands[v.Name] {
		if err := r.CheckValues(t, nil, f.env); err != nil {
			return f.broken(v.Name, string(v.Type.Space), "caller", err)
		}
	}
	return nil
}
