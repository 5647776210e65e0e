package qwen25vl

import (
	"strings"

	"mnnconv/graph"
	"mnnconv/passes"
)

// needed says why an input is still there after raising: the first node that joins what
// is made of it to what is computed from other inputs of floats, and what raising noted.
func needed(g *graph.Graph, v *graph.Value, report *passes.Report) string {
	var why []string
	if n := joins(g, v); n != nil {
		why = append(why, n.ID()+" takes what is made of it, in no form that is known; an export that no optimiser changed may do")
	}
	return strings.Join(append(why, report.Notes...), "; ")
}

// joins is the first node that reads what is made of an input, or the input, and floats
// made of others. It is nil for an input that nothing reads.
func joins(g *graph.Graph, v *graph.Value) *graph.Node {
	of, others := map[*graph.Value]bool{v: true}, map[*graph.Value]bool{}
	for _, in := range g.Inputs {
		others[in] = in != v && in.Type.DType.IsFloat()
	}
	var last *graph.Node
	for _, n := range g.Nodes {
		var a, b bool
		n.Reads(func(x *graph.Value) { a, b = a || of[x], b || others[x] })
		if a && b {
			return n
		}
		if a {
			last = n
		}
		for _, y := range n.Outputs {
			if y != nil {
				of[y], others[y] = a, b && y.Type.DType.IsFloat() // extents of floats are none
			}
		}
	}
	return last
}
