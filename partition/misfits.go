package partition

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mnnconv/graph"
)

// misfits are nodes that the device they were placed on cannot run, gathered by
// device and reason.
type misfits struct {
	phase   string
	targets []Target
	sizes   sizes
	uses    map[*graph.Value][]graph.Use
	unknown []error // devices that are not there
	groups  []*misfitGroup
	all     []Misfit
}

// misfitGroup are misfits that one line stands for.
type misfitGroup struct {
	reason error
	first  *graph.Node
	count  int
	can    []string // devices that can run all of them
}

// Misfit is a node that its device cannot run.
type Misfit struct {
	Phase    string   `json:"phase"`
	Node     string   `json:"node"` // its canonical path, or the exporter's name
	Operator string   `json:"operator"`
	Device   string   `json:"device"`
	Cause    string   `json:"cause"` // what placed it there
	Reason   string   `json:"reason"`
	Can      []string `json:"can"` // devices of the plan that can run it
}

// MisfitError is ErrPlacement: a line for each operator and device, and every node.
type MisfitError struct {
	Misfits []Misfit
	text    error
}

func (e *MisfitError) Error() string { return e.text.Error() }

// Unwrap returns the errors of the lines.
func (e *MisfitError) Unwrap() []error { return []error{e.text} }

// Misfits collects the nodes of all MisfitErrors that an error is made of.
func Misfits(err error) []Misfit {
	switch e := err.(type) { //nolint:errorlint // it goes down the tree itself
	case *MisfitError:
		return e.Misfits
	case interface{ Unwrap() error }:
		return Misfits(e.Unwrap())
	case interface{ Unwrap() []error }:
		var out []Misfit
		for _, inner := range e.Unwrap() {
			out = append(out, Misfits(inner)...)
		}
		return out
	}
	return nil
}

// fit moves a node that its target cannot run to the host, if it is arithmetic on
// shapes, or to where the fallback rule says, and notes it otherwise.
func (m *misfits) fit(n *graph.Node, rules []Rule) {
	t, err := find(m.targets, n.Target)
	if err != nil {
		for _, e := range m.unknown {
			if e.Error() == err.Error() {
				return
			}
		}
		m.unknown = append(m.unknown, err)
		return
	}
	sized := m.sizes.sized(n)
	reason := t.Supports(n, sized)
	if reason == nil {
		return
	}
	if n.Target != string(graph.Host) && ofIntegers(n) && m.runs(string(graph.Host), n) {
		n.Target, n.Cause = string(graph.Host), "shape arithmetic runs on the host ("+n.Cause+")"
		return
	}
	if n.Target != string(graph.Host) && m.ofOutputs(n) && m.runs(string(graph.Host), n) {
		n.Target, n.Cause = string(graph.Host), "made of outputs for the caller alone, on the host ("+n.Cause+"): "+reason.Error()
		return
	}
	for _, r := range rules {
		if r.fallback && n.Target != r.Target && m.runs(r.Target, n) {
			n.Target, n.Cause = r.Target, r.Text+": "+reason.Error()+" ("+n.Cause+")"
			return
		}
	}
	can := []string{}
	for _, t := range m.targets {
		if t.Supports(n, sized) == nil {
			can = append(can, t.Profile.Name)
		}
	}
	m.all = append(m.all, Misfit{m.phase, n.Label(), n.OpName(), n.Target, n.Cause, reason.Error(), can})
	for _, g := range m.groups {
		if g.first.Target == n.Target && g.first.OpName() == n.OpName() && strings.Join(g.can, " ") == strings.Join(can, " ") {
			g.count++
			return
		}
	}
	m.groups = append(m.groups, &misfitGroup{reason, n, 1, can})
}

func (m *misfits) runs(device string, n *graph.Node) bool {
	t, err := find(m.targets, device)
	return err == nil && t.Supports(n, m.sizes.sized(n)) == nil
}

// ofOutputs reports whether a node makes outputs of the graph, which no other node
// reads, of values that come to the host as outputs in any case.
func (m *misfits) ofOutputs(n *graph.Node) bool {
	out, made := func(v *graph.Value) bool {
		return slices.ContainsFunc(m.uses[v], func(u graph.Use) bool { return u.Node == nil })
	}, false
	for _, v := range n.Outputs {
		if v != nil && (!out(v) || len(m.uses[v]) > 1) {
			return false
		}
		made = made || v != nil
	}
	n.Reads(func(v *graph.Value) { made = made && (v.Const != nil || out(v)) })
	return made
}

// ofIntegers reports whether a node makes nothing but integers and booleans.
func ofIntegers(n *graph.Node) bool {
	for _, v := range n.Outputs {
		if v != nil && (v.Type.Kind != graph.TensorKind || v.Type.DType == graph.String || v.Type.DType.Bits() == 0 || v.Type.DType.IsFloat()) {
			return false
		}
	}
	return true
}

// err lists all misfits, a line for each operator and device.
func (m *misfits) err() error {
	errs := m.unknown
	for _, g := range m.groups {
		more := ""
		if g.count > 1 {
			more = fmt.Sprintf(" and %d more, which validate lists", g.count-1)
		}
		do := "no device of this plan can: place them on one that can (see `mnnconv devices`)"
		if len(g.can) > 0 {
			do = fmt.Sprintf("%s can: place them there, or give --fallback %s", strings.Join(g.can, ", "), g.can[0])
		}
		errs = append(errs, fmt.Errorf("%w: %s (%s)%s: %w; %s", ErrPlacement, g.first.ID(), g.first.Cause, more, g.reason, do))
	}
	if len(m.all) > 0 {
		return &MisfitError{m.all, errors.Join(errs...)}
	}
	return errors.Join(errs...)
}

// Fallbacks counts the nodes that a fallback moved, by the reason, for reports.
func (p *Plan) Fallbacks() map[string]int {
	out := map[string]int{}
	for _, n := range p.Graph.Nodes {
		if reason, ok := strings.CutPrefix(n.Cause, "--fallback "); ok {
			out["--fallback "+reason[:strings.LastIndex(reason, " (")]]++
		}
	}
	return out
}
