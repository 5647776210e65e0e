package host

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// lowerSplit covers ONNX Split where every part is wanted. Their shapes say how
// long they are. Of what a Transpose gives to nobody else, the parts are read from where that
// reads: the queries, keys and values of a joined product.
func lowerSplit(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Split") || !isMovable(n.Inputs[0]) || slices.Contains(n.Outputs, nil) {
		return Group{}, false
	}
	rank := len(n.Inputs[0].Type.Shape)
	axis, ok := axisOf(n.Int("axis", 0), rank)
	if !ok {
		return Group{}, false
	}
	g, perm := single(n), make([]int, rank)
	for i := range perm {
		perm[i] = i
	}
	if t := n.Inputs[0].Def; t.Is("Transpose") && len(uses[n.Inputs[0]]) == 1 && isMovable(t.Inputs[0]) {
		if p, ok := permOf(t); ok {
			perm = p
			g.Nodes, g.Name = []*graph.Node{t, n}, "Transpose·Split"
			g.In = slices.Clone(g.In)
			g.In[0] = t.Inputs[0]
		}
	}
	g.Kernel = func(c *Call) error { return splitTurned(c, c.In[0], c.Out, perm, axis) }
	return g, true
}

// splitTurned copies parts of x along an axis, whose axis i is axis perm[i] of x.
func splitTurned(c *Call, x *graph.Tensor, parts []*graph.Tensor, perm []int, axis int) error {
	at := 0
	for _, p := range parts {
		fits := len(p.Shape) == len(perm) && int64(at)+p.Shape[axis] <= x.Shape[perm[axis]]
		for i, k := range perm {
			fits = fits && (i == axis || p.Shape[i] == x.Shape[k])
		}
		if !fits {
			return fmt.Errorf("%w: a part of shape %v along axis %d of shape %v with axes %v", op.ErrInput, p.Shape, axis, x.Shape, perm)
		}
		if p.Len() > 0 {
			_, step := around(x.Shape, perm[axis])
			m := memo[move](c)
			m.turn(p, x, at*step, perm)
			if err := m.run(c); err != nil {
				return err
			}
		}
		at += int(p.Shape[axis])
	}
	if int64(at) != x.Shape[perm[axis]] {
		return fmt.Errorf("%w: parts of %d along axis %d of shape %v with axes %v", op.ErrInput, at, axis, x.Shape, perm)
	}
	return nil
}
