package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// lowerConcat covers ONNX Concat: the inputs one after the other along an axis.
func lowerConcat(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Concat") || !isMovable(n.Outputs[0]) {
		return Group{}, false
	}
	axis, ok := axisOf(n.Int("axis", 0), len(n.Outputs[0].Type.Shape))
	if !ok {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error { return inTurn(c, c.Out[0], c.In, axis) }
	return g, true
}

// inTurn copies the parts to whole, one after the other along an axis.
func inTurn(c *Call, whole *graph.Tensor, parts []*graph.Tensor, axis int) error {
	outer, inner := around(whole.Shape, axis)
	row, at := int(whole.Shape[axis])*inner, 0
	for _, p := range parts {
		if len(p.Shape) != len(whole.Shape) || p.Len() != outer*int(p.Shape[axis])*inner || at+int(p.Shape[axis])*inner > row {
			return fmt.Errorf("%w: a part of shape %v along axis %d of shape %v", op.ErrInput, p.Shape, axis, whole.Shape)
		}
		run := int(p.Shape[axis]) * inner
		if p.Len() > 0 {
			m := memo[move](c)
			m.begin(whole, p, at, 0)
			m.walk.add(outer, row, run)
			m.walk.add(run, 1, 1)
			if err := m.run(c); err != nil {
				return err
			}
		}
		at += run
	}
	if at != row {
		return fmt.Errorf("%w: parts of %d along axis %d of shape %v", op.ErrInput, at/max(1, inner), axis, whole.Shape)
	}
	return nil
}
