package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// lowerScatterState covers ONNX TensorScatter into a state [batch, …, rows,
// size]: the update's rows are written into the cache where it lies, at
// write_indices[b] of the axis of rows. Other axes, and the circular mode, stay
// with the reference.
func lowerScatterState(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("TensorScatter") || n.Str("mode", "linear") != "linear" || !isMovable(n.Inputs[0]) {
		return Group{}, false
	}
	rank := len(n.Inputs[0].Type.Shape)
	if axis, _ := axisOf(n.Int("axis", -2), rank); rank < 3 || axis != rank-2 || n.In(2) != nil && n.In(2).Type.DType != graph.Int64 {
		return Group{}, false
	}
	g := single(n)
	g.InPlace = true
	g.Kernel = func(c *Call) error {
		cache, update := c.Out[0], c.In[1]
		if !fits(update, cache) {
			return fmt.Errorf("%w: TensorScatter of %s into %s", op.ErrInput, update.Type(), cache.Type())
		}
		batch := int(cache.Shape[0])
		rows, capacity := int(update.Shape[rank-2]), int(cache.Shape[rank-2])
		row := int(cache.Shape[rank-1]) * cache.DType.Bits() / 8
		outer := 1
		for _, d := range cache.Shape[1 : rank-2] {
			outer *= int(d)
		}
		var at []int64
		if x := c.optional(2); x != nil {
			if at = graph.View[int64](x); len(at) != batch {
				return fmt.Errorf("%w: %d write indices for %d sequences", op.ErrInput, len(at), batch)
			}
		}
		for b := range batch {
			start := 0
			if at != nil {
				start = int(at[b])
			}
			if start < 0 || start > capacity-rows {
				return fmt.Errorf("%w: %d rows from row %d on do not fit a cache of %d rows", op.ErrInput, rows, start, capacity)
			}
			for h := range outer {
				k := b*outer + h
				copy(cache.Data[(k*capacity+start)*row:], update.Data[k*rows*row:(k+1)*rows*row])
			}
		}
		return nil
	}
	return g, true
}

// fits reports whether an update has the shape of a cache but for its rows, axis
// -2.
func fits(update, cache *graph.Tensor) bool {
	if update.DType != cache.DType || len(update.Shape) != len(cache.Shape) {
		return false
	}
	for d, n := range cache.Shape {
		if d != len(cache.Shape)-2 && update.Shape[d] != n {
			return false
		}
	}
	return true
}
