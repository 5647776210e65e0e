package op

import (
	"cmp"
	"slices"

	"mnnconv/graph"
)

// Unique is ONNX Unique.
var Unique = &Op{
	Name: "Unique", Since: 11,
	Doc: "The distinct slices along axis, or elements of the flattened input, in ascending order (sorted=0: of first occurrence); " +
		"the index of each one's first occurrence, for each input slice the index of its like, and how often each occurs.",
	Inputs: []string{"X"}, Outputs: []string{"Y", "indices?", "inverse_indices?", "counts?"}, Attrs: []string{"axis", "sorted"},
	Infer: func(in *Inference) error {
		x := in.Type(0)
		distinct := in.Fresh("unique")
		var all graph.Dim
		shape := graph.Shape{distinct}
		switch {
		case in.Node.Has("axis") && !x.Shape.Ranked():
			shape, all = nil, in.Fresh("unique")
		case in.Node.Has("axis"):
			k, err := resolveAxis(in.Node.Int("axis", 0), len(x.Shape))
			if err != nil {
				return err
			}
			shape, all = replaced(x.Shape, k, shape), x.Shape[k]
		case x.Shape.Ranked():
			all = x.Shape.Elements()
		default:
			all = in.Fresh("unique")
		}
		in.SetTensor(0, x.DType, shape)
		for i, d := range []graph.Dim{distinct, all, distinct} {
			in.SetTensor(i+1, graph.Int64, graph.Shape{d})
		}
		return nil
	},
	Eval: evalUnique,
	Cases: func() []Case {
		x := []*graph.Tensor{graph.Floats([]float32{2, 1, 1, 3, 4, 3})}
		return []Case{{
			Name: "example 1", In: x, Attrs: []graph.Attr{{Name: "sorted", Value: int64(0)}},
			Want: []*graph.Tensor{graph.Floats([]float32{2, 1, 3, 4}), graph.Ints([]int64{0, 1, 3, 4}),
				graph.Ints([]int64{0, 1, 1, 2, 3, 2}), graph.Ints([]int64{1, 2, 2, 1})},
		}, {
			Name: "sorted", In: x,
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}), graph.Ints([]int64{1, 0, 3, 4}),
				graph.Ints([]int64{1, 0, 0, 2, 3, 2}), graph.Ints([]int64{2, 1, 2, 1})},
		}, {
			Name: "example 4, axis 1", Attrs: []graph.Attr{{Name: "axis", Value: int64(1)}},
			In: []*graph.Tensor{graph.Ints([]int64{1, 1, 0, 1, 2, 1, 0, 1, 1, 1, 0, 1, 2, 1, 0, 1}, 2, 4, 2)},
			Want: []*graph.Tensor{graph.Ints([]int64{0, 1, 1, 1, 2, 1, 0, 1, 1, 1, 2, 1}, 2, 3, 2), graph.Ints([]int64{1, 0, 2}),
				graph.Ints([]int64{1, 0, 2, 0}), graph.Ints([]int64{2, 1, 1})},
		}, {
			Name: "no elements", In: []*graph.Tensor{graph.Ints(nil, 0)}, Want: []*graph.Tensor{graph.Ints(nil, 0)},
		}}
	},
}

func evalUnique(c *Call) error {
	x := c.Arg(0)
	if !c.Node.Has("axis") {
		x = x.Reshape(int64(x.Len()))
	}
	axis, err := resolveAxis(c.Node.Int("axis", 0), len(x.Shape))
	if err != nil {
		return err
	}
	keys, err := orderKeys(x)
	if err != nil {
		return err
	}
	outer, extent, inner := count(x.Shape[:axis]), int(x.Shape[axis]), count(x.Shape[axis+1:])
	if outer*inner == 0 && extent > 0 {
		return inputErrorf("slices of shape %v along axis %d have no elements to compare", x.Shape, axis)
	}
	compare := func(a, b int) int {
		for o := range outer {
			for i := range inner {
				if d := cmp.Compare(keys[(o*extent+a)*inner+i], keys[(o*extent+b)*inner+i]); d != 0 {
					return d
				}
			}
		}
		return 0
	}
	order := make([]int, extent)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(compare(a, b), a-b) })

	var groups [][]int // of equal slices, in ascending index
	for i, at := range order {
		if i == 0 || compare(order[i-1], at) != 0 {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], at)
	}
	if c.Node.Int("sorted", 1) == 0 {
		slices.SortFunc(groups, func(a, b []int) int { return a[0] - b[0] })
	}
	m, err := c.moveTo(0, x, replaced(x.Shape, axis, []int64{int64(len(groups))})...)
	if err != nil {
		return err
	}
	indices, inverse, counts := make([]int64, len(groups)), make([]int64, extent), make([]int64, len(groups))
	for g, group := range groups {
		for o := range outer {
			m.copy((o*len(groups)+g)*inner, (o*extent+group[0])*inner, inner)
		}
		indices[g], counts[g] = int64(group[0]), int64(len(group))
		for _, at := range group {
			inverse[at] = int64(g)
		}
	}
	c.Set(1, graph.Ints(indices))
	c.Set(2, graph.Ints(inverse))
	c.Set(3, graph.Ints(counts))
	return nil
}
