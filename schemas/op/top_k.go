package op

import (
	"cmp"
	"slices"

	"mnnconv/graph"
)

// TopK is ONNX TopK.
var TopK = &Op{
	Name: "TopK", Since: 1,
	Doc: "The K largest (or smallest) elements along axis (default -1), sorted, and their int64 indices; of equal ones the lower " +
		"index first. NaN counts as the largest. K is an attribute before version 10. With sorted=0 the order is the same.",
	Inputs: []string{"X", "K?"}, Outputs: []string{"Values", "Indices"}, Attrs: []string{"axis", "k", "largest", "sorted"},
	Infer: func(in *Inference) error {
		x := in.Type(0)
		if !x.Shape.Ranked() {
			in.SetTensor(0, x.DType, nil)
			in.SetTensor(1, graph.Int64, nil)
			return nil
		}
		axis, err := resolveAxis(in.Node.Int("axis", -1), len(x.Shape))
		if err != nil {
			return err
		}
		k, ok := in.Elements(1)
		if !in.Has(1) {
			k, ok = dimsOf([]int64{in.Node.Int("k", -1)}), true
		}
		if !ok {
			k = []graph.Dim{in.Fresh("top_k")}
		}
		if len(k) != 1 {
			return inputErrorf("K has %d elements, want one", len(k))
		}
		n, fixed := k[0].Int()
		extent, bounded := x.Shape[axis].Int()
		if fixed && (n < 0 || bounded && n > extent) {
			return inputErrorf("K is %d, axis %d has shape %s", n, axis, x.Shape)
		}
		shape := append(graph.Shape{}, x.Shape...)
		shape[axis] = k[0]
		in.SetTensor(0, x.DType, shape)
		in.SetTensor(1, graph.Int64, shape)
		return nil
	},
	Eval: evalTopK,
	Cases: func() []Case {
		x := graph.Floats([]float32{1, 3, 3, 2, 0, 5, 4, 5}, 2, 4)
		k := func(n int64) *graph.Tensor { return graph.Ints([]int64{n}) }
		smallest := graph.Attr{Name: "largest", Value: int64(0)}
		nan := uint16(0x7e00)
		return []Case{{
			Name: "largest, ties", In: []*graph.Tensor{x, k(3)},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 3, 2, 5, 5, 4}, 2, 3), graph.Ints([]int64{1, 2, 3, 1, 3, 2}, 2, 3)},
		}, {
			Name: "smallest along axis 0", In: []*graph.Tensor{x, k(1)}, Attrs: []graph.Attr{smallest, {Name: "axis", Value: int64(0)}},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 3, 3, 2}, 1, 4), graph.Ints([]int64{1, 0, 0, 0}, 1, 4)},
		}, {
			Name: "attribute", Version: 1, In: []*graph.Tensor{x}, Attrs: []graph.Attr{{Name: "k", Value: int64(1)}},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 5}, 2, 1), graph.Ints([]int64{1, 1}, 2, 1)},
		}, {
			Name: "half with NaN", In: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3c00, nan, 0xbc00}), k(2)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{nan, 0x3c00}), graph.Ints([]int64{1, 0})},
		}, {
			Name: "unsigned", In: []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1, 1 << 63, 0}), k(3)}, Attrs: []graph.Attr{smallest},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{0, 1, 1 << 63}), graph.Ints([]int64{2, 0, 1})},
		}, {
			Name: "none", In: []*graph.Tensor{graph.Ints(nil, 0), k(0)}, Want: []*graph.Tensor{graph.Ints(nil, 0), graph.Ints(nil, 0)},
		}}
	},
}

func evalTopK(c *Call) error {
	x := c.Arg(0)
	axis, err := resolveAxis(c.Node.Int("axis", -1), len(x.Shape))
	if err != nil {
		return err
	}
	k := []int64{c.Node.Int("k", -1)}
	if c.Arg(1) != nil {
		if k, err = c.Arg(1).Int64s(); err != nil {
			return err
		}
	}
	extent := x.Shape[axis]
	if len(k) != 1 || k[0] < 0 || k[0] > extent {
		return inputErrorf("K is %v, axis %d of shape %v", k, axis, x.Shape)
	}
	shape := append([]int64{}, x.Shape...)
	shape[axis] = k[0]
	m, err := c.moveTo(0, x, shape...)
	if err != nil {
		return err
	}
	indices, err := c.New(1, graph.Int64, shape...)
	if err != nil {
		return err
	}
	keys, err := orderKeys(x)
	if err != nil || m.dst.Len() == 0 {
		return err
	}
	if c.Node.Int("largest", 1) != 0 {
		for i := range keys {
			keys[i] = ^keys[i]
		}
	}
	outer, inner := count(x.Shape[:axis]), count(x.Shape[axis+1:])
	chosen := graph.View[int64](indices)
	order := make([]int, extent)
	for o := range outer {
		for i := range inner {
			from := o*int(extent)*inner + i
			for j := range order {
				order[j] = j
			}
			slices.SortFunc(order, func(a, b int) int {
				return cmp.Or(cmp.Compare(keys[from+a*inner], keys[from+b*inner]), a-b)
			})
			for j, at := range order[:k[0]] {
				to := (o*int(k[0])+j)*inner + i
				m.copy(to, from+at*inner, 1)
				chosen[to] = int64(at)
			}
		}
	}
	return nil
}
