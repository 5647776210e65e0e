package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// lowerScatterND covers ONNX ScatterND without reduction: a copy of data in which
// the slice that each row of indices names is replaced by an update, the later
// one where two name the same.
func lowerScatterND(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("ScatterND") || n.Str("reduction", "none") != "none" || !isMovable(n.Inputs[0]) || !isMovable(n.Inputs[2]) ||
		n.Inputs[1].Type.DType != graph.Int64 || len(n.Inputs[1].Type.Shape) == 0 {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		x, at, u, y := c.In[0], c.In[1], c.In[2], c.Out[0]
		axes := int(at.Shape[len(at.Shape)-1])
		if axes < 1 || axes > len(x.Shape) || len(y.Data) != len(x.Data) || u.DType != x.DType {
			return fmt.Errorf("%w: updates %s at indices of shape %v of %s", op.ErrInput, u.Type(), at.Shape, x.Type())
		}
		var stepsBuf [maxAxes]int
		steps := stepsOf(x.Shape, &stepsBuf)
		size := x.DType.Bits() / 8
		run := steps[axes-1] * size
		indices := graph.View[int64](at)
		if len(indices)/axes*run != len(u.Data) {
			return fmt.Errorf("%w: updates %s at indices of shape %v of %s", op.ErrInput, u.Type(), at.Shape, x.Type())
		}
		copy(y.Data, x.Data)
		for i := 0; i*axes < len(indices); i++ {
			place := 0
			for d, j := range indices[i*axes:][:axes] {
				n := x.Shape[d]
				if j < -n || j >= n {
					return fmt.Errorf("%w: index %d into an extent of %d", op.ErrInput, j, n)
				}
				if j < 0 {
					j += n
				}
				place += int(j) * steps[d]
			}
			copy(y.Data[place*size:][:run], u.Data[i*run:])
		}
		return nil
	}
	return g, true
}
