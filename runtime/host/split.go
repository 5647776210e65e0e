package host

import (
	"slices"

	"mnnconv/graph"
)

// lowerSplit covers ONNX Split where every part is wanted. Their shapes say how
// long they are.
func lowerSplit(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Split") || !isMovable(n.Inputs[0]) || slices.Contains(n.Outputs, nil) {
		return Group{}, false
	}
	axis, ok := axisOf(n.Int("axis", 0), len(n.Inputs[0].Type.Shape))
	if !ok {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error { return inTurn(c, c.In[0], c.Out, axis, false) }
	return g, true
}
