package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// lowerScatterState covers ONNX TensorScatter into a state: the update's rows
// are written into the cache where it lies, at write_indices[b] of the sequence
// axis -2. Other axes, and the circular mode, stay with the reference.
func lowerScatterState(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("TensorScatter") || n.Str("mode", "linear") != "linear" || n.Int("axis", -2) != -2 {
		return Group{}, false
	}
	g := single(n)
	g.InPlace = true
	g.Kernel = func(c *Call) error {
		cache, update := c.Out[0], c.In[1]
		if len(cache.Shape) < 3 || len(update.Shape) != len(cache.Shape) {
			return fmt.Errorf("%w: TensorScatter of %s into %s", op.ErrInput, update.Type(), cache.Type())
		}
		var at []int64
		if len(c.In) > 2 && c.In[2] != nil {
			at = graph.View[int64](c.In[2])
		}
		r := len(cache.Shape)
		batch := int(cache.Shape[0])
		rows, capacity := int(update.Shape[r-2]), int(cache.Shape[r-2])
		row := int(cache.Shape[r-1]) * cache.DType.Bits() / 8
		outer := 1
		for _, d := range cache.Shape[1 : r-2] {
			outer *= int(d)
		}
		for b := range batch {
			start := 0
			if at != nil {
				start = int(at[b])
			}
			if start < 0 || start+rows > capacity {
				return fmt.Errorf("%w: rows %d to %d do not fit a cache of %d rows", op.ErrInput, start, start+rows, capacity)
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
