package passes

import "mnnconv/graph"

// transposes looks at chains of Transpose, Unsqueeze and Squeeze. A chain that in
// the end only moves axes of extent 1 is a Reshape; two transposes in a row are
// one.
func (c *context) transposes() (bool, error) {
	r := c.rewriter()
	changed := false
	for _, n := range c.g.Nodes {
		if !n.Is("Transpose") || n.Out(0) == nil || !n.Outputs[0].Type.Shape.Ranked() {
			continue
		}
		if c.batchTransposed(r, n) {
			changed = true
			continue
		}
		src, axes, length := c.axisChain(n.Outputs[0])
		if length < 2 || src.Type.Kind != graph.TensorKind {
			continue
		}
		order := make([]int64, 0, len(axes))
		for _, a := range axes {
			if a >= 0 {
				order = append(order, int64(a))
			}
		}
		out := n.Outputs[0]
		straight := true
		last := int64(-1)
		for _, a := range order {
			if src.Type.Shape[a].IsConst(1) {
				continue // an axis of extent 1 may stand anywhere
			}
			straight = straight && a > last
			last = a
		}
		if straight {
			target, ok := staticTarget(src.Type.Shape, out.Type.Shape)
			if !ok {
				continue
			}
			m := r.add(n, "Reshape", nil, 1, src, r.ints(target...))
			r.take(m, 0, out)
			changed = true
			continue
		}
		if n.Inputs[0].Def.Is("Transpose") && len(order) == len(axes) && len(axes) == len(src.Type.Shape) {
			m := r.add(n, "Transpose", attrs{"perm": order}, 1, src)
			r.take(m, 0, out)
			changed = true
		}
	}
	return changed, r.apply()
}

// axisChain follows Transpose, Unsqueeze and Squeeze from v to their source. axes
// tells for each axis of v which axis of the source it is, or -1 for a new one.
func (c *context) axisChain(v *graph.Value) (src *graph.Value, axes []int, length int) {
	axes = make([]int, len(v.Type.Shape))
	for i := range axes {
		axes[i] = i
	}
	src = v
	for src.Def != nil && src.Def.Domain == "" && length < 16 {
		n := src.Def
		if n.In(0) == nil || !n.Inputs[0].Type.Shape.Ranked() {
			break
		}
		rank := len(n.Inputs[0].Type.Shape)
		var back []int // axis of n's output → axis of its input, -1 for none
		switch n.Op {
		case "Transpose":
			perm := n.Ints("perm")
			for i := range rank {
				p := rank - 1 - i
				if perm != nil {
					p = int(perm[i])
				}
				back = append(back, p)
			}
		case "Unsqueeze", "Squeeze":
			back = singletonMap(n, rank)
		}
		if back == nil {
			break
		}
		for i, a := range axes {
			if a >= 0 {
				axes[i] = back[a]
			}
		}
		src = n.Inputs[0]
		length++
	}
	return src, axes, length
}

// singletonMap maps the axes of an Unsqueeze's or Squeeze's output to its input's.
func singletonMap(n *graph.Node, rank int) []int {
	given, ok := axesOf(n)
	outRank := len(n.Outputs[0].Type.Shape)
	if n.Op == "Unsqueeze" {
		if !ok {
			return nil
		}
		fresh := map[int]bool{}
		for _, a := range given {
			if a < 0 {
				a += int64(outRank)
			}
			fresh[int(a)] = true
		}
		back := make([]int, outRank)
		k := 0
		for i := range back {
			if fresh[i] {
				back[i] = -1
				continue
			}
			back[i] = k
			k++
		}
		return back
	}
	gone := map[int]bool{}
	if ok {
		for _, a := range given {
			if a < 0 {
				a += int64(rank)
			}
			gone[int(a)] = true
		}
	} else {
		for i, d := range n.Inputs[0].Type.Shape {
			gone[i] = d.IsConst(1)
		}
	}
	var back []int
	for i := range rank {
		if !gone[i] {
			back = append(back, i)
		}
	}
	if len(back) != outRank {
		return nil
	}
	return back
}

// axesOf returns the axes of a node as attribute or constant second input.
func axesOf(n *graph.Node) ([]int64, bool) {
	if a := n.Ints("axes"); a != nil {
		return a, true
	}
	if v := n.In(1); v != nil && v.Const != nil {
		a, err := v.Const.Int64s()
		return a, err == nil
	}
	return nil, false
}

// batchTransposed makes one Transpose of a Reshape that joins leading axes, a
// Transpose of the last two, and a Reshape that takes the joined ones apart again.
func (c *context) batchTransposed(r *rewriter, n *graph.Node) bool {
	join := n.Inputs[0].Def
	if !join.Is("Reshape") || !equalInts(n.Ints("perm"), 0, 2, 1) {
		return false
	}
	flat := join.Outputs[0].Type.Shape
	done := false
	for _, split := range c.g.Nodes {
		if !split.Is("Reshape") || split.Inputs[0] != n.Outputs[0] {
			continue
		}
		y := split.Outputs[0].Type.Shape
		if len(y) != 4 || len(flat) != 3 || !y[2].Equal(flat[2]) || !y[3].Equal(flat[1]) {
			continue
		}
		apart := graph.Shape{y[0], y[1], flat[1], flat[2]}
		target, ok := staticTarget(join.Inputs[0].Type.Shape, apart)
		if !ok {
			continue
		}
		x := r.op1(split, "Reshape", nil, join.Inputs[0], r.ints(target...))
		m := r.add(split, "Transpose", attrs{"perm": []int64{0, 1, 3, 2}}, 1, x)
		r.take(m, 0, split.Outputs[0])
		done = true
	}
	return done
}
