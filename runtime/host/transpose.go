package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// lowerTranspose covers ONNX Transpose: axis i of the output is axis perm[i] of
// the input.
func lowerTranspose(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Transpose") || !isMovable(n.Inputs[0]) {
		return Group{}, false
	}
	perm, ok := permOf(n)
	if !ok {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		x, y := c.In[0], c.Out[0]
		for i, k := range perm {
			if y.Shape[i] != x.Shape[k] {
				return fmt.Errorf("%w: axes %v of shape %v are no shape %v", op.ErrInput, perm, x.Shape, y.Shape)
			}
		}
		m := memo[move](c)
		m.turn(y, x, 0, perm)
		return m.run(c)
	}
	return g, true
}

// turn has m store in y what lies in x from element at on: axis i is axis perm[i] of x.
func (m *move) turn(y, x *graph.Tensor, at int, perm []int) {
	var toSteps, fromSteps [maxAxes]int
	to, from := stepsOf(y.Shape, &toSteps), stepsOf(x.Shape, &fromSteps)
	m.begin(y, x, 0, at)
	for i, k := range perm {
		m.walk.add(int(y.Shape[i]), to[i], from[k])
	}
}

// permOf returns which axis of its input each axis of a Transpose is.
func permOf(n *graph.Node) (perm []int, ok bool) {
	rank := len(n.Inputs[0].Type.Shape)
	perm = make([]int, rank)
	for i := range perm {
		perm[i] = rank - 1 - i
	}
	if !n.Has("perm") {
		return perm, true
	}
	list := n.Ints("perm")
	if len(list) != rank {
		return nil, false
	}
	for i, from := range list {
		if perm[i], ok = axisOf(from, rank); !ok {
			return nil, false
		}
	}
	return perm, true
}
