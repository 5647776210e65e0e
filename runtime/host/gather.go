package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// gather is ONNX Gather: one axis of data replaced by the slices of it that the
// indices name, negative ones counted from the end.
type gather struct {
	x, at, y           *graph.Tensor
	extent, picks, run int // of the axis; indices; bytes of a slice
	cut                cut
}

// lowerGather covers Gather from tensors of whole bytes: embeddings, whatever
// their dtype, and reordered rows. GatherND is the same where each index names a
// slice of the first axis.
func lowerGather(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	axis := n.Int("axis", 0)
	switch {
	case n.Is("Gather"):
	case n.Is("GatherND"):
		at := n.Inputs[1].Type.Shape
		if n.Int("batch_dims", 0) != 0 || len(at) == 0 || !at[len(at)-1].IsConst(1) {
			return Group{}, false
		}
	default:
		return Group{}, false
	}
	along, ok := axisOf(axis, len(n.Inputs[0].Type.Shape))
	if !ok || !isMovable(n.Inputs[0]) || !isIndex(n.Inputs[1]) {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[gather](c)
		*k = gather{x: c.In[0], at: c.In[1], y: c.Out[0]}
		outer, inner := around(k.x.Shape, along)
		k.extent, k.picks = int(k.x.Shape[along]), k.at.Len()
		k.run = inner * k.x.DType.Bits() / 8
		if err := inRange(k.at, k.extent); err != nil {
			return err
		}
		if k.y.Len() != outer*k.picks*inner {
			return fmt.Errorf("%w: %d slices of %d elements are no %s", op.ErrInput, outer*k.picks, inner, k.y.Type())
		}
		k.cut = cutBy(outer*k.picks, k.run/4+4)
		return c.Run(k.cut.parts(), k)
	}
	return g, true
}

// inRange returns an error unless all indices lie in an extent, negative ones
// counted from its end.
func inRange(indices *graph.Tensor, extent int) error {
	for i := range indices.Len() {
		if j := intAt(indices, i); j < -extent || j >= extent {
			return fmt.Errorf("%w: index %d into an extent of %d", op.ErrInput, j, extent)
		}
	}
	return nil
}

// Part implements [Parts].
func (k *gather) Part(_ *Worker, i int) {
	from, to := k.cut.part(i)
	for s := from; s < to; s++ {
		j := intAt(k.at, s%k.picks)
		if j < 0 {
			j += k.extent
		}
		copy(k.y.Data[s*k.run:][:k.run], k.x.Data[(s/k.picks*k.extent+j)*k.run:])
	}
}
