package runtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
	"mnnconv/schemas/op"
)

// Conformance is how a device did with the operators' cases.
type Conformance struct {
	Passed    int
	Operators map[string]int // cases run, by operator
	Failed    []error        // one for each case that gave something else
}

// Conform opens the device that a profile of a backend names, runs the cases of every
// operator that the profile names on it, and compares the results with what is known.
// Inputs are brought to the device; where the device takes some of them as constants only,
// those are. A form of an operator that the target does not support is left out. host is
// the backend of graph.Host.
func Conform(ctx context.Context, table op.Table, on Backend, p partition.Profile, host Backend) (_ *Conformance, err error) {
	out := &Conformance{Operators: map[string]int{}}
	rules, err := partition.ParseRules(p.Name)
	if err != nil {
		return nil, err
	}
	here, err := host.Profile(0)
	if err != nil {
		return nil, err
	}
	target, hostTarget := partition.Target{Profile: p, Lowerer: on}, partition.Target{Profile: here, Lowerer: host}
	devices := map[string]Device{}
	defer func() {
		for _, d := range devices {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, t := range []struct {
		backend Backend
		profile partition.Profile
	}{{host, here}, {on, p}} {
		if devices[t.profile.Name] != nil { // the host tries itself
			continue
		}
		d, err := t.backend.Open(t.profile)
		if err != nil {
			return nil, err
		}
		devices[t.profile.Name] = d
	}
	c := conformance{table: table, rules: rules, targets: []partition.Target{hostTarget, target}, target: target,
		devices: devices}
	for _, o := range table.Sorted() {
		if o == op.Copy { // a step between spaces, no kernel
			continue
		}
		for _, k := range o.Cases() {
			for form := range forms {
				ran, err := c.run(ctx, o, &k, form)
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				if !ran {
					continue
				}
				name := (&graph.Node{Domain: o.Domain, Op: o.Name}).OpName()
				out.Operators[name]++
				if err != nil {
					out.Failed = append(out.Failed, fmt.Errorf("%s: %s, case %q: %w", target.Profile.Name, name, k.Name, err))
				} else {
					out.Passed++
				}
			}
		}
	}
	return out, nil
}

// forms are what inputs of a case are constants: none; integers behind the first; all
// behind the first.
const forms = 3

type conformance struct {
	table   op.Table
	rules   []partition.Rule
	targets []partition.Target
	target  partition.Target
	devices map[string]Device
}

// run runs a case in one form; ran is false where the target does not take it.
func (c *conformance) run(ctx context.Context, o *op.Op, k *op.Case, form int) (ran bool, err error) {
	g, in, n := caseGraph(o, k, form)
	if g == nil || !c.takes(n) {
		return false, nil
	}
	plan, err := partition.Build("case", g, c.rules, c.targets)
	if err != nil {
		return true, err
	}
	e, err := NewExecutor(plan, c.devices)
	if err != nil {
		return true, err
	}
	s := e.NewSession(nil, nil, Schedule{})
	got, err := s.Run(ctx, in)
	if err == nil {
		wants := 0
		for _, w := range k.Want {
			if w == nil {
				continue
			}
			if bad := closeTo(got[wants], w, k.Tol); bad != nil {
				err = errors.Join(err, fmt.Errorf("output %d: %w", wants, bad))
			}
			wants++
		}
	}
	return true, errors.Join(err, s.Close(), e.Close())
}

// takes tells whether the target runs a node, whose results' shapes must be known.
func (c *conformance) takes(n *graph.Node) bool {
	if op.NewFacts(c.table).Node(n) != nil {
		return false
	}
	for _, v := range n.Outputs {
		if v == nil {
			continue
		}
		if _, fixed := v.Type.Shape.Ints(); !fixed || v.Type.Kind != graph.TensorKind {
			return false
		}
	}
	return c.target.Supports(n, true) == nil
}

// caseGraph is a case as a graph, with the tensors of its inputs. It is nil where a form
// has no constant that another has not.
func caseGraph(o *op.Op, k *op.Case, form int) (*graph.Graph, []*graph.Tensor, *graph.Node) {
	g := graph.New("case")
	version := k.Version
	if version == 0 {
		if version = 24; o.Domain != "" {
			version = 1
		}
	}
	ins := make([]*graph.Value, len(k.In))
	var in []*graph.Tensor
	more := form == 0 // this form has a constant that the one before has not
	for i, x := range k.In {
		if x == nil {
			continue
		}
		integer := x.Kind == graph.TensorKind && x.DType.IsInt()
		if i > 0 && (form == 1 && integer || form == 2) {
			more = more || form == 1 || !integer
			ins[i] = g.NewConst(fmt.Sprintf("const%d", i), x)
			continue
		}
		ins[i] = g.NewInput(fmt.Sprintf("in%d", i), x.Type())
		in = append(in, x)
	}
	if !more {
		return nil, nil, nil
	}
	names := make([]string, len(k.Want))
	for i, w := range k.Want {
		if w != nil {
			names[i] = fmt.Sprintf("out%d", i)
		}
	}
	n := g.NewNode(o.Domain, o.Name, version, ins, names...)
	n.Attrs, n.Bodies = k.Attrs, k.Bodies
	g.Append(n)
	for _, v := range n.Outputs {
		if v != nil {
			g.Outputs = append(g.Outputs, v)
		}
	}
	return g, in, n
}

// closeTo compares a result with what is known, within tol, absolute and relative, or
// what one rounding of its dtype gives.
func closeTo(got, want *graph.Tensor, tol float64) error {
	if got.DType != want.DType || len(got.Data) != len(want.Data) || fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		return fmt.Errorf("got %s, want %s", got.Type(), want.Type())
	}
	if want.DType == graph.String {
		if !slices.Equal(got.Strings, want.Strings) {
			return fmt.Errorf("got %q, want %q", got.Strings, want.Strings)
		}
		return nil
	}
	if !want.DType.IsFloat() {
		g, err := got.Int64s()
		w, err2 := want.Int64s()
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		for i := range w {
			if g[i] != w[i] {
				return fmt.Errorf("element %d: got %d, want %d", i, g[i], w[i])
			}
		}
		return nil
	}
	switch want.DType {
	case graph.Float16:
		tol = max(tol, 1.0/1024)
	case graph.BFloat16:
		tol = max(tol, 1.0/128)
	default:
		tol = max(tol, 1e-6)
	}
	g, err := got.Float32s()
	w, err2 := want.Float32s()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	for i := range w {
		d := math.Abs(float64(g[i]) - float64(w[i]))
		if nan := g[i] != g[i] && w[i] != w[i]; !(d <= tol+tol*math.Abs(float64(w[i]))) && g[i] != w[i] && !nan {
			return fmt.Errorf("element %d: got %v, want %v", i, g[i], w[i])
		}
	}
	return nil
}
