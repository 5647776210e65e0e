package partition

import (
	"errors"
	"fmt"
	"slices"

	"mnnconv/graph"
)

// Placed returns the plan of a graph that says itself where its nodes run and
// what is copied, as [Build] leaves it: one that was saved. It cuts and lowers
// the graph and verifies the plan; nothing is placed anew.
func Placed(phase string, g *graph.Graph, targets []Target) (*Plan, error) {
	var errs []error
	known := sizesOf(g)
	for _, n := range g.Nodes {
		t, err := find(targets, n.Target)
		if err == nil && !n.IsCopy() { // devices transfer, they have no kernel for it
			err = t.Supports(n, known.sized(n))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: %w", ErrPlacement, n.ID(), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return planned(phase, g, targets)
}

// Devices lists the targets of a placed graph, each once, in order of first use.
func Devices(g *graph.Graph) []string {
	var out []string
	for _, n := range g.Nodes {
		if !slices.Contains(out, n.Target) {
			out = append(out, n.Target)
		}
	}
	return out
}

// Unplace takes placement, spaces and copies out of a graph, so that it may be
// placed anew.
func Unplace(g *graph.Graph) {
	with := map[*graph.Value]*graph.Value{}
	for _, n := range g.Nodes {
		if n.IsCopy() {
			from := n.Inputs[0]
			for with[from] != nil { // a copy of a copy
				from = with[from]
			}
			with[n.Outputs[0]] = from
		}
	}
	for i, v := range g.Outputs { // an output keeps its name, which callers know it by
		if from := with[v]; from != nil && from.Def != nil && !slices.Contains(g.Outputs, from) {
			g.Outputs[i] = from
		}
	}
	g.Replace(with)
	g.Nodes = slices.DeleteFunc(g.Nodes, (*graph.Node).IsCopy)
	for _, v := range g.Inputs {
		v.Type.Space = ""
	}
	for _, n := range g.Nodes {
		n.Target, n.Cause = "", ""
		for _, v := range n.Outputs {
			if v != nil {
				v.Type.Space = ""
			}
		}
	}
}
