package host

import "mnnconv/graph"

// lowerView covers the operators that only rename a shape: their output is the
// input's memory.
func lowerView(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	switch {
	case n.Domain != "":
		return Group{}, false
	case n.Op == "Reshape", n.Op == "Squeeze", n.Op == "Unsqueeze", n.Op == "Flatten", n.Op == "Identity":
	default:
		return Group{}, false
	}
	if n.In(0) == nil || n.In(0).Type.Kind != graph.TensorKind || n.In(0).Type.DType == graph.String {
		return Group{}, false
	}
	g := single(n)
	g.View = true
	return g, true
}
