package host

import "mnnconv/graph"

// lowerSwishMul covers Swish(x)·y, in either order: SwiGLU between its matrices
// (Shazeer, "GLU Variants Improve Transformer", 2020). The gate is not rounded
// before it multiplies.
func lowerSwishMul(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Mul") || len(n.Inputs) != 2 || !broadcasts(n) {
		return Group{}, false
	}
	for i, v := range n.Inputs {
		gate := v.Def
		if !gate.Is("Swish") || len(uses[v]) != 1 {
			continue
		}
		alpha := gate.Float("alpha", 1)
		return Group{
			Name: "Swish·Mul", Nodes: []*graph.Node{gate, n}, In: []*graph.Value{gate.Inputs[0], n.Inputs[1-i]}, Out: n.Outputs,
			Kernel: elementwiseOf(func(z, x, y []float32) { vectors.SwishMul(z, x, y, alpha) }),
		}, true
	}
	return Group{}, false
}
