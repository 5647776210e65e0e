package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// lowerSlice covers ONNX Slice with inputs for starts, ends and axes, and steps
// that are known and positive.
func lowerSlice(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Slice") || n.In(1) == nil || n.In(2) == nil || !isMovable(n.Inputs[0]) || !isMovable(n.Outputs[0]) {
		return Group{}, false
	}
	for i := 1; i < len(n.Inputs); i++ {
		if v := n.Inputs[i]; v != nil && !isIndex(v) {
			return Group{}, false
		}
	}
	if steps := n.In(4); steps != nil {
		if steps.Const == nil {
			return Group{}, false
		}
		for i := range steps.Const.Len() {
			if intAt(steps.Const, i) < 1 {
				return Group{}, false
			}
		}
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		m := memo[move](c)
		if err := sliced(m, c.In, c.Out[0]); err != nil {
			return err
		}
		return m.run(c)
	}
	return g, true
}

// sliced makes m copy the slice that the inputs describe.
func sliced(m *move, in []*graph.Tensor, y *graph.Tensor) error {
	x, starts, ends := in[0], in[1], in[2]
	optional := func(i int) *graph.Tensor {
		if i < len(in) {
			return in[i]
		}
		return nil
	}
	axes, steps := optional(3), optional(4)
	count := starts.Len()
	for _, t := range [...]*graph.Tensor{ends, axes, steps} {
		if t != nil && t.Len() != count {
			return fmt.Errorf("%w: %d starts and %d ends, axes or steps", op.ErrInput, count, t.Len())
		}
	}
	rank := len(x.Shape)
	var toSteps, fromSteps [maxAxes]int
	to, from := stepsOf(y.Shape, &toSteps), stepsOf(x.Shape, &fromSteps)
	offset := 0
	var seen [maxAxes]bool
	var extents [maxAxes]int
	for d, n := range x.Shape {
		extents[d] = int(n)
	}
	for i := range count {
		d, ok := i, i < rank
		if axes != nil {
			d, ok = axisOf(int64(intAt(axes, i)), rank)
		}
		if !ok || seen[d] {
			return fmt.Errorf("%w: slices along axis %d, twice or not one of shape %v", op.ErrInput, d, x.Shape)
		}
		seen[d] = true
		by := 1
		if steps != nil {
			by = intAt(steps, i)
		}
		start, end := clamp(intAt(starts, i), extents[d]), clamp(intAt(ends, i), extents[d])
		extents[d] = 0
		if start < end {
			extents[d] = (end-start-1)/by + 1
			offset += start * from[d]
		}
		from[d] *= by
	}
	for d, n := range y.Shape {
		if len(y.Shape) != rank || extents[d] != int(n) {
			return fmt.Errorf("%w: a slice of shape %v gives %v, not %v", op.ErrInput, x.Shape, extents[:rank], y.Shape)
		}
	}
	if y.Len() == 0 {
		offset = 0
	}
	m.begin(y, x, 0, offset)
	for d, n := range y.Shape {
		m.walk.add(int(n), to[d], from[d])
	}
	return nil
}

// clamp returns the place in an extent that a start or end names: negative ones
// count from the end.
func clamp(at, extent int) int {
	if at < 0 {
		at += extent
	}
	return min(max(at, 0), extent)
}
