package gpu

import (
	"mnnconv/graph"
)

// narrow is the size of groups that make one result.
const narrow = 64

// reductions are the kinds of join, and what is done before and after, of
// kernels/reduce.cl.
var reductions = map[string][3]int{
	"ReduceSum": {0, 0, 0}, "ReduceMean": {0, 0, 1}, "ReduceMax": {1, 0, 0}, "ReduceMin": {2, 0, 0}, "ReduceProd": {3, 0, 0},
	"ReduceL1": {0, 1, 0}, "ReduceL2": {0, 2, 2}, "ReduceSumSquare": {0, 2, 0}, "ReduceLogSum": {0, 0, 3}, "ReduceLogSumExp": {0, 3, 3},
}

// lowerReduce covers the Reduce operators on floats along axes that are known.
func lowerReduce(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	f, ok := reductions[n.Op]
	if !ok || n.Domain != "" || !areFloats(n.In(0)) || !isTensor(n.Out(0)) {
		return Group{}, false
	}
	rank := len(n.Inputs[0].Type.Shape)
	list := n.Ints("axes")
	g := single(n)
	if n.In(1) != nil {
		if list, ok = constants(n.In(1)); !ok {
			return Group{}, false
		}
		g.Host = []int{1}
	}
	gone := make([]bool, rank)
	for _, a := range list {
		axis, ok := axisOf(a, rank)
		if !ok {
			return Group{}, false
		}
		gone[axis] = true
	}
	if len(list) == 0 {
		if n.Int("noop_with_empty_axes", 0) != 0 {
			return Group{}, false
		}
		for i := range gone {
			gone[i] = true
		}
	}
	g.Record = func(r *Recorder) error {
		x, y := r.In[0], r.Out[0]
		own := strides(x.Shape)
		var kept, inner []int64
		var keptSteps, innerSteps []int
		for i, d := range x.Shape {
			if gone[i] {
				inner, innerSteps = append(inner, d), append(innerSteps, own[i])
			} else {
				kept, keptSteps = append(kept, d), append(keptSteps, own[i])
			}
		}
		return r.Launch("reduce", "reduce", [3]int{y.Len(), 1, 1}, narrow, x, y, typeOf(x), f[0], f[1], f[2],
			newWalk(kept, keptSteps, nil, nil), newWalk(inner, innerSteps, nil, nil))
	}
	return g, true
}

// lowerSoftmax covers Softmax and LogSoftmax along one axis.
func lowerSoftmax(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Softmax") && !n.Is("LogSoftmax") || n.Version < 13 || !areFloats(n.In(0)) {
		return Group{}, false
	}
	axis, ok := axisOf(n.Int("axis", -1), len(n.Inputs[0].Type.Shape))
	logarithm := n.Op == "LogSoftmax"
	g := single(n)
	g.Record = func(r *Recorder) error {
		x, y := r.In[0], r.Out[0]
		outer, inner := around(x.Shape, axis)
		if x.Len() == 0 {
			return nil
		}
		return r.Launch("reduce", "softmax", [3]int{outer * inner, 1, 1}, narrow, x, y, typeOf(x), x.At(axis), inner, logarithm)
	}
	return g, ok
}

// lowerArg covers ArgMax and ArgMin of floats.
func lowerArg(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	sign := float32(1)
	switch {
	case n.Is("ArgMax"):
	case n.Is("ArgMin"):
		sign = -1
	default:
		return Group{}, false
	}
	if !areFloats(n.In(0)) || !isTensor(n.Out(0)) {
		return Group{}, false
	}
	axis, ok := axisOf(n.Int("axis", 0), len(n.Inputs[0].Type.Shape))
	last := n.Int("select_last_index", 0) != 0
	g := single(n)
	g.Record = func(r *Recorder) error {
		x, y := r.In[0], r.Out[0]
		outer, inner := around(x.Shape, axis)
		if x.At(axis) == 0 || y.Len() != outer*inner {
			return r.mismatch(x, y)
		}
		return r.Launch("reduce", "arg_best", [3]int{outer * inner, 1, 1}, narrow, x, y, typeOf(x), x.At(axis), inner, sign, last)
	}
	return g, ok
}
