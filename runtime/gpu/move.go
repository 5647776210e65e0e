package gpu

import (
	"slices"

	"mnnconv/graph"
)

// move records y[to + …] = x[from + …] for the elements of a shape, which go on by
// strides a in x and b in y.
func (r *Recorder) move(y *Tensor, to int, b []int, x *Tensor, from int, a []int, shape []int64) error {
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	return r.Launch("move", "move", over(n), wide, x, y, from, to, bytesOf(y.DType), newWalk(shape, a, b, nil))
}

// copy records y = x, element by element in order.
func (r *Recorder) copy(y, x *Tensor) error {
	if y.Len() != x.Len() || y.DType != x.DType {
		return r.mismatch(x, y)
	}
	return r.move(y, 0, []int{1}, x, 0, []int{1}, []int64{int64(y.Len())})
}

// transpose records y, which has the axes of x in the order of perm.
func (r *Recorder) transpose(y, x *Tensor, perm []int) error {
	if len(perm) != len(x.Shape) || !slices.Equal(y.Shape, permuted(x.Shape, perm)) {
		return r.mismatch(x, y)
	}
	own := strides(x.Shape)
	a := make([]int, len(perm))
	for i, p := range perm {
		a[i] = own[p]
	}
	return r.move(y, 0, strides(y.Shape), x, 0, a, y.Shape)
}

// lowerTranspose covers ONNX Transpose.
func lowerTranspose(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Transpose") || !isMovable(n.In(0)) {
		return Group{}, false
	}
	perm, ok := permOf(n)
	g := single(n)
	g.Record = func(r *Recorder) error { return r.transpose(r.Out[0], r.In[0], perm) }
	return g, ok
}

// permOf returns the order of axes of a Transpose of a ranked tensor.
func permOf(n *graph.Node) ([]int, bool) {
	rank := len(n.Inputs[0].Type.Shape)
	perm := make([]int, rank)
	given := n.Ints("perm")
	if given != nil && len(given) != rank {
		return nil, false
	}
	for i := range perm {
		perm[i] = rank - 1 - i
		if given != nil {
			p, ok := axisOf(given[i], rank)
			if !ok || slices.Contains(perm[:i], p) {
				return nil, false
			}
			perm[i] = p
		}
	}
	return perm, true
}

// lowerExpand covers ONNX Expand.
func lowerExpand(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Expand") || !isMovable(n.In(0)) || !isTensor(n.Out(0)) {
		return Group{}, false
	}
	g := single(n)
	g.Host = []int{1}
	g.Record = func(r *Recorder) error {
		x, y := r.In[0], r.Out[0]
		s, ok := broadcast(x.Shape, y.Shape)
		if !ok {
			return r.mismatch(x, y)
		}
		return r.move(y, 0, strides(y.Shape), x, 0, s, y.Shape)
	}
	return g, true
}

// lowerTile covers ONNX Tile of tensors of up to four axes.
func lowerTile(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Tile") || n.Version < 6 || !isMovable(n.In(0)) || !isTensor(n.Out(0)) || 2*len(n.Inputs[0].Type.Shape) > maxAxes {
		return Group{}, false
	}
	g := single(n)
	g.Host = []int{1}
	g.Record = func(r *Recorder) error {
		x, y := r.In[0], r.Out[0]
		if len(x.Shape) != len(y.Shape) {
			return r.mismatch(x, y)
		}
		var shape []int64
		var a, b []int
		own, outs := strides(x.Shape), strides(y.Shape)
		for i, d := range x.Shape {
			if d == 0 {
				return nil
			}
			if y.Shape[i]%d != 0 {
				return r.mismatch(x, y)
			}
			shape = append(shape, y.Shape[i]/d, d)
			a, b = append(a, 0, own[i]), append(b, outs[i]*int(d), outs[i])
		}
		return r.move(y, 0, b, x, 0, a, shape)
	}
	return g, true
}

// lowerConcat covers ONNX Concat: the inputs one behind the other along an axis.
func lowerConcat(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Concat") || !isMovable(n.Out(0)) {
		return Group{}, false
	}
	axis, ok := axisOf(n.Int("axis", 0), len(n.Outputs[0].Type.Shape))
	g := single(n)
	g.Record = func(r *Recorder) error { return r.inTurn(r.Out[0], r.In, axis, true) }
	return g, ok
}

// lowerSplit covers ONNX Split, whose outputs' shapes say where it is cut.
func lowerSplit(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Split") || !isMovable(n.In(0)) {
		return Group{}, false
	}
	for _, v := range n.Outputs {
		if !isTensor(v) {
			return Group{}, false
		}
	}
	axis, ok := axisOf(n.Int("axis", 0), len(n.Inputs[0].Type.Shape))
	g := single(n)
	g.Host = []int{1}
	g.Record = func(r *Recorder) error { return r.inTurn(r.In[0], r.Out, axis, false) }
	return g, ok
}

// inTurn copies the parts, which lie one behind the other along an axis of whole, from
// or to there.
func (r *Recorder) inTurn(whole *Tensor, parts []*Tensor, axis int, into bool) error {
	outer, inner := around(whole.Shape, axis)
	row, at := int(whole.Shape[axis])*inner, 0
	for _, p := range parts {
		if len(p.Shape) != len(whole.Shape) {
			return r.mismatch(append([]*Tensor{whole}, parts...)...)
		}
		run := int(p.Shape[axis]) * inner
		if p.Len() != outer*run || at+run > row {
			return r.mismatch(append([]*Tensor{whole}, parts...)...)
		}
		shape, apart, within := []int64{int64(outer), int64(run)}, []int{run, 1}, []int{row, 1}
		var err error
		if into {
			err = r.move(whole, at, within, p, 0, apart, shape)
		} else {
			err = r.move(p, 0, apart, whole, at, within, shape)
		}
		if err != nil {
			return err
		}
		at += run
	}
	if at != row {
		return r.mismatch(append([]*Tensor{whole}, parts...)...)
	}
	return nil
}

// lowerSlice covers ONNX Slice whose starts, axes and steps are known; ends are
// not needed, as the output's shape says how far it goes.
func lowerSlice(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Slice") || !isMovable(n.In(0)) || !isTensor(n.Out(0)) {
		return Group{}, false
	}
	rank := len(n.Inputs[0].Type.Shape)
	starts, axes := n.Ints("starts"), n.Ints("axes")
	var steps []int64
	g := single(n)
	if n.In(1) != nil {
		var ok bool
		g.Host = []int{1, 2, 3, 4}
		if starts, ok = constants(n.In(1)); !ok {
			return Group{}, false
		}
		if n.In(3) != nil {
			if axes, ok = constants(n.In(3)); !ok {
				return Group{}, false
			}
		}
		if n.In(4) != nil {
			if steps, ok = constants(n.In(4)); !ok || len(steps) != len(starts) {
				return Group{}, false
			}
		}
	}
	if axes != nil && len(axes) != len(starts) || len(starts) > rank || slices.Contains(steps, 0) {
		return Group{}, false
	}
	for i := range axes {
		a, ok := axisOf(axes[i], rank)
		if !ok {
			return Group{}, false
		}
		axes = slices.Clone(axes)
		axes[i] = int64(a)
	}
	g.Record = func(r *Recorder) error {
		x, y := r.In[0], r.Out[0]
		if len(x.Shape) != len(y.Shape) {
			return r.mismatch(x, y)
		}
		a, from := strides(x.Shape), 0
		for i, s := range starts {
			axis, step := i, int64(1)
			if axes != nil {
				axis = int(axes[i])
			}
			if steps != nil {
				step = steps[i]
			}
			d := x.Shape[axis]
			if s < 0 {
				s += d
			}
			if step > 0 {
				s = min(max(s, 0), d)
			} else {
				s = min(max(s, -1), d-1)
			}
			if n := y.Shape[axis]; n > 0 && (s < 0 || s >= d || s+(n-1)*step < 0 || s+(n-1)*step >= d) {
				return r.mismatch(x, y)
			}
			from += int(s) * a[axis]
			a[axis] *= int(step)
		}
		return r.move(y, 0, strides(y.Shape), x, from, a, y.Shape)
	}
	return g, true
}
