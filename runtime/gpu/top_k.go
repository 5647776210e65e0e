package gpu

import (
	"slices"

	"mnnconv/graph"
	"mnnconv/partition"
)

// topChunk is how many numbers a group of kernels/topk.cl sorts.
const topChunk = 2048

// lowerTopK covers TopK of floats, of up to half as many as a group sorts.
func lowerTopK(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("TopK") || !areFloats(n.In(0)) || n.Out(0) == nil && n.Out(1) == nil {
		return Group{}, false
	}
	for _, v := range n.Outputs {
		if v != nil && !isTensor(v) {
			return Group{}, false
		}
	}
	if k := n.In(1); k != nil && k.Const != nil {
		if v, err := k.Const.Int64s(); err != nil || len(v) != 1 || v[0] > topChunk/2 {
			return Group{}, false
		}
	}
	sign := float32(1)
	if n.Int("largest", 1) == 0 {
		sign = -1
	}
	axis, ok := axisOf(n.Int("axis", -1), len(n.Inputs[0].Type.Shape))
	g := single(n)
	g.Host = []int{1}
	g.Record = func(r *Recorder) error {
		x, out := r.In[0], r.Out[slices.IndexFunc(r.Out, func(t *Tensor) bool { return t != nil })]
		var at *Tensor
		if len(r.Out) > 1 {
			at = r.Out[1]
		}
		outer, inner := around(x.Shape, axis)
		k := out.At(axis)
		if k > x.At(axis) {
			return r.mismatch(x, out)
		}
		if out.Len() == 0 {
			return nil
		}
		if k > topChunk/2 {
			return r.errorf("%w: the best %d of %d; a GPU's kernel finds up to %d", partition.ErrLimit, k, x.At(axis), topChunk/2)
		}
		var keys, found *Tensor // of the launch before, of this one
		for n := x.At(axis); ; n = ceil(n, topChunk) * k {
			chunks := ceil(n, topChunk)
			if found = nil; chunks > 1 {
				var err error
				if found, err = r.Scratch(graph.Int64, outer*inner*chunks*k); err != nil {
					return err
				}
			}
			err := r.Launch("topk", "top_k", [3]int{chunks, outer * inner, 1}, min(r.limits.Group, topChunk/2), x, keys, found, r.Out[0], at, typeOf(x), x.At(axis), inner, n, k, sign)
			if err != nil || found == nil {
				return err
			}
			keys = found
		}
	}
	return g, ok
}
