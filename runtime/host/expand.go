package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// lowerExpand covers ONNX Expand: the input broadcast to the shape of the output.
func lowerExpand(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Expand") || !isMovable(n.Inputs[0]) || !isMovable(n.Outputs[0]) {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		x, y := c.In[0], c.Out[0]
		rank := len(y.Shape)
		if len(x.Shape) > rank {
			return fmt.Errorf("%w: shape %v does not expand to %v", op.ErrInput, x.Shape, y.Shape)
		}
		var toSteps, fromSteps [maxAxes]int
		to, from := stepsOf(y.Shape, &toSteps), stepsOf(x.Shape, &fromSteps)
		m := memo[move](c)
		m.begin(y, x, 0, 0)
		for d := range rank {
			e, repeated := extent(x.Shape, d-rank), 0
			switch {
			case e == 1:
			case e != int(y.Shape[d]):
				return fmt.Errorf("%w: shape %v does not expand to %v", op.ErrInput, x.Shape, y.Shape)
			default:
				repeated = from[d-rank+len(x.Shape)]
			}
			m.walk.add(int(y.Shape[d]), to[d], repeated)
		}
		return m.run(c)
	}
	return g, true
}
