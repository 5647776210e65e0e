package gpu

import "mnnconv/graph"

// lowerView covers the operators that only rename a shape: their output is the
// input's memory. A shape that is an input is not read here: the output's is known.
func lowerView(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	switch {
	case n.Domain != "":
		return Group{}, false
	case n.Op == "Reshape", n.Op == "Squeeze", n.Op == "Unsqueeze", n.Op == "Flatten", n.Op == "Identity":
	default:
		return Group{}, false
	}
	if v := n.In(0); v == nil || v.Type.Kind != graph.TensorKind || v.Type.DType.Bits() == 0 {
		return Group{}, false
	}
	g := single(n)
	g.View = true
	if n.In(1) != nil {
		g.Host = []int{1}
	}
	return g, true
}
