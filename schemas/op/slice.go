package op

import (
	"math"

	"mnnconv/graph"
)

// Slice is ONNX Slice.
var Slice = &Op{
	Name: "Slice", Since: 1,
	Doc: "Elements start, start+step, … before end along each of axes (default: the first ones); negative starts and ends count " +
		"from the end, both are clamped. Attributes before version 10; scalars are taken as vectors of one element.",
	Inputs: []string{"data", "starts?", "ends?", "axes?", "steps?"}, Outputs: []string{"output"},
	Attrs: []string{"starts", "ends", "axes"},
	Infer: inferSlice,
	Eval:  evalSlice,
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2, 3, 4, 5, 6, 7, 8}, 2, 4)
		ints := func(v ...int64) *graph.Tensor { return graph.Ints(v) }
		return []Case{{
			Name: "example 1", In: []*graph.Tensor{x, ints(1, 0), ints(2, 3), ints(0, 1), ints(1, 2)},
			Want: []*graph.Tensor{graph.Ints([]int64{5, 7}, 1, 2)},
		}, {
			Name: "example 2", In: []*graph.Tensor{x, ints(0, 1), ints(-1, 1000)},
			Want: []*graph.Tensor{graph.Ints([]int64{2, 3, 4}, 1, 3)},
		}, {
			Name: "backwards", In: []*graph.Tensor{x, ints(-1), ints(math.MinInt64), ints(-1), ints(-2)},
			Want: []*graph.Tensor{graph.Ints([]int64{4, 2, 8, 6}, 2, 2)},
		}, {
			Name: "scalars", In: []*graph.Tensor{x, graph.Scalar(-2), graph.Scalar(math.MaxInt64), graph.Scalar(1)},
			Want: []*graph.Tensor{graph.Ints([]int64{3, 4, 7, 8}, 2, 2)},
		}, {
			Name: "attributes", Version: 9, In: []*graph.Tensor{x},
			Attrs: []graph.Attr{{Name: "starts", Value: []int64{1}}, {Name: "ends", Value: []int64{math.MaxInt64}}, {Name: "axes", Value: []int64{0}}},
			Want:  []*graph.Tensor{graph.Ints([]int64{5, 6, 7, 8}, 1, 4)},
		}, {
			Name: "nothing left", In: []*graph.Tensor{x, graph.FromSlice(graph.Int32, []int32{3}), graph.FromSlice(graph.Int32, []int32{1})},
			Want: []*graph.Tensor{graph.Ints(nil, 0, 4)},
		}}
	},
}

func evalSlice(c *Call) error {
	x := c.Arg(0)
	starts, given, err := c.list(1, "starts")
	if err != nil {
		return err
	}
	ends, given2, err := c.list(2, "ends")
	if err != nil {
		return err
	}
	list, some, err := c.list(3, "axes")
	if err != nil {
		return err
	}
	steps, stepped, err := c.list(4, "")
	if err != nil {
		return err
	}
	if !given || !given2 || len(starts) != len(ends) || some && len(list) != len(starts) || stepped && len(steps) != len(starts) {
		return inputErrorf("starts %v, ends %v, axes %v and steps %v differ in length", starts, ends, list, steps)
	}
	if !some {
		list = firstAxes(len(starts))
	}
	axes, err := axesOf(list, len(x.Shape))
	if err != nil {
		return err
	}
	shape, strides := append([]int64{}, x.Shape...), rowStrides(x.Shape)
	offset := 0
	for i, k := range axes {
		step := int64(1)
		if stepped {
			step = steps[i]
		}
		if step == 0 {
			return inputErrorf("step 0 along axis %d", k)
		}
		at, n := sliceRange(starts[i], ends[i], step, x.Shape[k])
		shape[k] = n
		offset += int(at) * strides[k]
		strides[k] *= int(step)
	}
	m, err := c.moveTo(0, x, shape...)
	if err != nil {
		return err
	}
	m.strided(shape, offset, strides)
	return nil
}

func firstAxes(n int) []int64 {
	axes := make([]int64, n)
	for i := range axes {
		axes[i] = int64(i)
	}
	return axes
}

// sliceRange returns the first index of a slice of an extent and how many
// follow in steps; step is not 0.
func sliceRange(start, end, step, extent int64) (first, n int64) {
	if start < 0 {
		start += extent
	}
	if end < 0 {
		end += extent
	}
	if step > 0 {
		start, end = min(max(start, 0), extent), min(max(end, 0), extent)
		if start >= end {
			return start, 0
		}
		return start, (end-start-1)/step + 1
	}
	start, end = min(max(start, 0), extent-1), min(max(end, -1), extent-1)
	if start <= end {
		return max(start, 0), 0
	}
	if step == math.MinInt64 {
		return start, 1
	}
	return start, (start-end-1)/-step + 1
}

func inferSlice(in *Inference) error {
	x := in.Type(0)
	if !x.Shape.Ranked() {
		in.SetTensor(0, x.DType, nil)
		return nil
	}
	starts, startsKnown := in.dims(1, "starts")
	ends, endsKnown := in.dims(2, "ends")
	list, some, known := in.list(3, "axes")
	if !some && startsKnown {
		list = firstAxes(len(starts))
	} else if !some || !known {
		in.SetTensor(0, x.DType, in.FreshShape("slice", len(x.Shape)))
		return nil
	}
	steps, stepped, stepsKnown := in.list(4, "")
	axes, err := axesOf(list, len(x.Shape))
	if err != nil {
		return err
	}
	if startsKnown && len(starts) != len(axes) || endsKnown && len(ends) != len(axes) || stepped && stepsKnown && len(steps) != len(axes) {
		return inputErrorf("starts, ends, axes and steps differ in length")
	}
	shape := append(graph.Shape{}, x.Shape...)
	for i, k := range axes {
		step := int64(1)
		if stepped && stepsKnown {
			step = steps[i]
		}
		ok := startsKnown && endsKnown && stepsKnown
		if ok {
			if step == 0 {
				return inputErrorf("step 0 along axis %d", k)
			}
			shape[k], ok = sliceExtent(starts[i], ends[i], step, x.Shape[k])
		}
		if !ok {
			shape[k] = in.Fresh("slice")
		}
	}
	in.SetTensor(0, x.DType, shape)
	in.knowMoved(evalSlice, first)
	return nil
}

// dims returns the elements of integer input i, or of the attribute that older
// versions have in its place.
func (in *Inference) dims(i int, attr string) ([]graph.Dim, bool) {
	if in.Has(i) {
		return in.Elements(i)
	}
	return dimsOf(in.Node.Ints(attr)), in.Node.Has(attr)
}

// noEnd is what exporters write at least for "to the end".
const noEnd = math.MaxInt32

// sliceExtent is sliceRange's count for dims; ok is false where the sign of a
// start or end is not known, or a backward slice is not of the whole extent.
func sliceExtent(start, end graph.Dim, step int64, extent graph.Dim) (n graph.Dim, ok bool) {
	s, sok := start.Int()
	e, eok := end.Int()
	x, xok := extent.Int()
	if sok && eok && xok {
		_, n := sliceRange(s, e, step, x)
		return graph.Const(n), true
	}
	if step < 0 {
		if !sok || !eok || s != -1 && s < noEnd || e > -noEnd || step == math.MinInt64 {
			return n, false
		}
		return stepsIn(extent, -step), true
	}
	switch {
	case eok && e >= noEnd || end.Equal(extent): // to the end
		switch {
		case sok && s >= noEnd:
			n = graph.Const(0)
		case start.NonNegative():
			n = maxDim(extent.Sub(start), graph.Const(0))
		case sok && s <= -noEnd:
			n = extent
		case sok: // the last -s
			n = minDim(graph.Const(-s), extent)
		default:
			return n, false
		}
	default:
		from, ok := clampDim(start, extent)
		to, ok2 := clampDim(end, extent)
		if !ok || !ok2 {
			return n, false
		}
		n = maxDim(to.Sub(from), graph.Const(0))
	}
	return stepsIn(n, step), true
}

// clampDim returns where a start or end of a forward slice lies in an extent.
func clampDim(at, extent graph.Dim) (graph.Dim, bool) {
	n, ok := at.Int()
	switch {
	case ok && n >= noEnd:
		return extent, true
	case ok && n <= -noEnd:
		return graph.Const(0), true
	case at.NonNegative():
		return minDim(at, extent), true
	case ok || at.Mul(graph.Const(-1)).Sub(graph.Const(1)).NonNegative():
		return maxDim(extent.Add(at), graph.Const(0)), true
	}
	return graph.Dim{}, false
}

// stepsIn returns how many steps fit into n extents, the last one started.
func stepsIn(n graph.Dim, step int64) graph.Dim {
	if step == 1 {
		return n
	}
	return n.Add(graph.Const(step - 1)).Div(graph.Const(step))
}
