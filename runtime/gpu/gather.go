package gpu

import "mnnconv/graph"

// lowerGather covers ONNX Gather. An index out of range gives zeros: nobody looks at
// indexes on a device; `--check values` does.
func lowerGather(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Gather") || !isMovable(n.In(0)) || !isIndex(n.In(1)) || !isTensor(n.Out(0)) {
		return Group{}, false
	}
	axis, ok := axisOf(n.Int("axis", 0), len(n.Inputs[0].Type.Shape))
	g := single(n)
	g.Record = func(r *Recorder) error {
		x, at, y := r.In[0], r.In[1], r.Out[0]
		outer, inner := around(x.Shape, axis)
		if y.Len() != outer*at.Len()*inner {
			return r.mismatch(x, at, y)
		}
		return r.Launch("move", "gather", over(y.Len()), wide, x, at, typeOf(at), y, y.Len(), int(x.Shape[axis]), at.Len(), inner, bytesOf(y.DType))
	}
	return g, ok
}

// places is kernels/move.cl's Places.
type places struct {
	Depth     int32
	Dim, Step [maxAxes]int32
}

// placesOf returns how tuples of depth indexes name stretches of a shape, from axis
// batch on, and the elements of one.
func placesOf(shape []int64, batch, depth int) (p places, inner int) {
	own := strides(shape)
	p.Depth, inner = int32(depth), 1
	for d := range depth {
		p.Dim[d], p.Step[d] = int32(shape[batch+d]), int32(own[batch+d])
	}
	for _, d := range shape[batch+depth:] {
		inner *= int(d)
	}
	return p, inner
}

// lowerGatherND covers ONNX GatherND. Indexes out of range give zeros.
func lowerGatherND(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("GatherND") || !isMovable(n.In(0)) || !isIndex(n.In(1)) || !isTensor(n.Out(0)) || len(n.Inputs[1].Type.Shape) == 0 {
		return Group{}, false
	}
	batch := int(n.Int("batch_dims", 0))
	g := single(n)
	g.Record = func(r *Recorder) error {
		x, at, y := r.In[0], r.In[1], r.Out[0]
		depth := at.At(-1)
		if batch < 0 || batch+depth > len(x.Shape) || batch >= len(at.Shape) {
			return r.mismatch(x, at, y)
		}
		p, inner := placesOf(x.Shape, batch, depth)
		batches := 1
		for _, d := range x.Shape[:batch] {
			batches *= int(d)
		}
		if batches == 0 || y.Len() == 0 {
			return nil
		}
		tuples := at.Len() / max(1, depth)
		if y.Len() != tuples*inner || tuples%batches != 0 {
			return r.mismatch(x, at, y)
		}
		return r.Launch("move", "gather_nd", over(y.Len()), wide, x, at, typeOf(at), y, y.Len(), tuples/batches, x.Len()/batches, inner, bytesOf(y.DType), p)
	}
	return g, batch >= 0
}

// lowerScatterND covers ONNX ScatterND without reduction. Indexes out of range are left
// out; of equal ones any may win.
func lowerScatterND(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("ScatterND") || !isMovable(n.In(0)) || !isIndex(n.In(1)) || !isTensor(n.In(2)) || n.Str("reduction", "none") != "none" || len(n.Inputs[1].Type.Shape) == 0 {
		return Group{}, false
	}
	g := single(n)
	g.Record = func(r *Recorder) error {
		x, at, u, y := r.In[0], r.In[1], r.In[2], r.Out[0]
		depth := at.At(-1)
		if depth > len(x.Shape) {
			return r.mismatch(x, at, u)
		}
		p, inner := placesOf(x.Shape, 0, depth)
		if tuples := at.Len() / max(1, depth); depth > 0 && u.Len() != tuples*inner {
			return r.mismatch(x, at, u)
		}
		if err := r.copy(y, x); err != nil {
			return err
		}
		return r.Launch("move", "scatter_nd", over(u.Len()), wide, u, at, typeOf(at), y, u.Len(), inner, bytesOf(y.DType), p)
	}
	return g, true
}
