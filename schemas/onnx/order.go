package onnx

import (
	"slices"
	"strings"

	"mnnconv/graph"
)

// order puts the nodes of g into topological order, and leaves an order that
// is one alone. Nodes that read each other's outputs are an error that shows the
// ring.
func order(g *graph.Graph) error {
	done := make(map[*graph.Node]bool, len(g.Nodes))
	sorted := true
	for _, n := range g.Nodes {
		n.Reads(func(v *graph.Value) { sorted = sorted && (v.Def == nil || done[v.Def]) })
		done[n] = true
	}
	if sorted {
		return nil
	}
	if ring := findRing(g); ring != nil {
		return malformed("%w: %s", graph.ErrCycle, showRing(ring))
	}
	return g.Sort()
}

// findRing returns nodes each of which feeds the next, and the last the first;
// nil if there are none.
func findRing(g *graph.Graph) []*graph.Node {
	waits := make(map[*graph.Node]int, len(g.Nodes)) // inputs that are not computed yet
	readers := make(map[*graph.Node][]*graph.Node, len(g.Nodes))
	var ready []*graph.Node
	for _, n := range g.Nodes {
		n.Reads(func(v *graph.Value) {
			if v.Def != nil {
				waits[n]++
				readers[v.Def] = append(readers[v.Def], n)
			}
		})
		if waits[n] == 0 {
			ready = append(ready, n)
		}
	}
	for len(ready) > 0 {
		n := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		for _, r := range readers[n] {
			if waits[r]--; waits[r] == 0 {
				ready = append(ready, r)
			}
		}
	}
	start := slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return waits[n] > 0 })
	if start < 0 {
		return nil
	}
	// Each node that still waits reads another one that does: follow them back.
	var path []*graph.Node
	at := map[*graph.Node]int{}
	n := g.Nodes[start]
	for {
		if i, seen := at[n]; seen {
			ring := path[i:]
			slices.Reverse(ring)
			return ring
		}
		at[n] = len(path)
		path = append(path, n)
		var from *graph.Node
		n.Reads(func(v *graph.Value) {
			if v.Def != nil && waits[v.Def] > 0 {
				from = v.Def
			}
		})
		n = from
	}
}

func showRing(ring []*graph.Node) string {
	const shown = 12
	var parts []string
	for i, n := range ring {
		if i == shown {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, describe(n))
	}
	return strings.Join(append(parts, describe(ring[0])), " → ")
}
