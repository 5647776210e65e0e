package partition

import (
	"maps"

	"mnnconv/graph"
)

// sizes are symbols whose values are known before a graph runs: those of its inputs
// and states.
type sizes graph.Env

func sizesOf(g *graph.Graph) sizes {
	s := sizes{}
	for _, v := range g.Inputs {
		s.add(v)
	}
	return s
}

// add takes the symbols that a tensor's extents tell, see [graph.Env.Bind].
func (s sizes) add(v *graph.Value) {
	for _, d := range v.Type.Shape {
		if name, _, _, ok := d.Linear(); ok {
			s[name] = 1
		}
	}
}

// sized reports whether rank and extents of what a node makes follow from those of its
// inputs and of the graph's.
func (s sizes) sized(n *graph.Node) bool {
	known := maps.Clone(s)
	for _, v := range n.Inputs {
		if v != nil {
			known.add(v)
		}
	}
	for _, v := range n.Outputs {
		if v == nil || v.Type.Kind != graph.TensorKind {
			continue
		}
		if !v.Type.Shape.Ranked() {
			return false
		}
		for _, d := range v.Type.Shape {
			if _, err := d.Eval(graph.Env(known)); err != nil {
				return false
			}
		}
	}
	return true
}
