package op

import (
	"fmt"
	"math"

	"mnnconv/graph"
)

// Range is ONNX Range.
var Range = &Op{
	Name: "Range", Since: 11,
	Doc:    "start, start + delta, … up to limit, exclusive: max(ceil((limit - start) / delta), 0) elements start + i·delta.",
	Inputs: []string{"start", "limit", "delta"}, Outputs: []string{"output"},
	Attrs: []string{"stash_type"},
	Infer: inferRange,
	Eval:  evalRange,
	Cases: func() []Case {
		ints := func(v ...int64) []*graph.Tensor {
			return []*graph.Tensor{graph.Scalar(v[0]), graph.Scalar(v[1]), graph.Scalar(v[2])}
		}
		floats := func(d graph.DType, v ...float32) []*graph.Tensor {
			out := make([]*graph.Tensor, len(v))
			for i, f := range v {
				out[i] = narrow(d, []float32{f}, []int64{}...)
			}
			return out
		}
		return []Case{
			{Name: "example 1", In: ints(3, 9, 3), Want: []*graph.Tensor{graph.Ints([]int64{3, 6})}},
			{Name: "example 2", In: ints(10, 4, -2), Want: []*graph.Tensor{graph.Ints([]int64{10, 8, 6})}},
			{Name: "empty", In: ints(4, 4, 1), Want: []*graph.Tensor{graph.Ints(nil)}},
			{Name: "extremes", In: ints(math.MinInt64, math.MaxInt64, math.MaxInt64), Want: []*graph.Tensor{graph.Ints([]int64{math.MinInt64, -1, math.MaxInt64 - 1})}},
			{Name: "float32", In: floats(graph.Float32, 0, 1, 0.3), Want: []*graph.Tensor{graph.Floats([]float32{0, 0.3, 0.6, 0.90000004})}},
			{Name: "bfloat16", In: floats(graph.BFloat16, 1, 2.5, 0.5), Want: []*graph.Tensor{graph.FromSlice(graph.BFloat16, []uint16{0x3f80, 0x3fc0, 0x4000})}},
		}
	},
}

func evalRange(c *Call) error {
	start, limit, delta := c.Arg(0), c.Arg(1), c.Arg(2)
	if _, err := stashType(c.Node); err != nil && start.DType.Bits() == 16 && start.DType.IsFloat() {
		return err
	}
	for i, t := range []*graph.Tensor{start, limit, delta} {
		if t.Len() != 1 || t.DType != start.DType {
			return inputErrorf("input %d is %s, want a %s scalar", i, t.Type(), start.DType)
		}
	}
	switch start.DType {
	case graph.Float16, graph.BFloat16, graph.Float32:
		s, _ := start.Float32s()
		l, _ := limit.Float32s()
		d, _ := delta.Float32s()
		n, err := floatSteps(float64(l[0]-s[0]), float64(d[0]))
		if err != nil {
			return err
		}
		out, err := c.New(0, start.DType, n)
		if err != nil {
			return err
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = s[0] + float32(float32(i)*d[0]) // the conversion keeps the two roundings apart
		}
		return out.SetFloat32s(v)
	case graph.Float64:
		s, d := graph.View[float64](start)[0], graph.View[float64](delta)[0]
		n, err := floatSteps(graph.View[float64](limit)[0]-s, d)
		if err != nil {
			return err
		}
		out, err := c.New(0, start.DType, n)
		if err != nil {
			return err
		}
		for i, v := 0, graph.View[float64](out); i < len(v); i++ {
			v[i] = s + float64(float64(i)*d)
		}
		return nil
	case graph.Int64:
		return rangeInts[int64](c)
	case graph.Int32:
		return rangeInts[int32](c)
	case graph.Int16:
		return rangeInts[int16](c)
	}
	return fmt.Errorf("not defined for %s: %w", start.DType, ErrUnsupported)
}

func rangeInts[T int16 | int32 | int64](c *Call) error {
	start, limit, delta := graph.View[T](c.Arg(0))[0], graph.View[T](c.Arg(1))[0], graph.View[T](c.Arg(2))[0]
	n, err := intSteps(int64(start), int64(limit), int64(delta))
	if err != nil {
		return err
	}
	out, err := c.New(0, c.Arg(0).DType, n)
	if err != nil {
		return err
	}
	for i, v := 0, graph.View[T](out); i < len(v); i++ {
		v[i] = start + T(i)*delta
	}
	return nil
}

// intSteps returns the number of elements of an integer range.
func intSteps(start, limit, delta int64) (int64, error) {
	if delta == 0 {
		return 0, inputErrorf("delta is 0")
	}
	span, step := uint64(limit)-uint64(start), uint64(delta)
	if delta < 0 {
		start, limit = limit, start
		span, step = -span, -step
	}
	if limit <= start {
		return 0, nil
	}
	n := (span-1)/step + 1
	if n > graph.MaxElements {
		return 0, fmt.Errorf("%w: %w: %d elements, the limit is %d", ErrInput, graph.ErrLimit, n, int64(graph.MaxElements))
	}
	return int64(n), nil
}

// floatSteps returns the number of elements of a floating-point range.
func floatSteps(span, delta float64) (int64, error) {
	n := math.Ceil(span / delta)
	if delta == 0 || math.IsNaN(n) || n > graph.MaxElements {
		return 0, inputErrorf("a range over %g in steps of %g", span, delta)
	}
	return int64(max(n, 0)), nil
}

func inferRange(in *Inference) error {
	d, err := in.commonDType(0, 1, 2)
	if err != nil {
		return err
	}
	in.SetTensor(0, d, graph.Shape{in.Fresh("range")})
	start, ok := in.Elements(0)
	limit, ok2 := in.Elements(1)
	delta, ok3 := in.Ints(2)
	if !ok || !ok2 || !ok3 {
		return nil
	}
	if len(start) != 1 || len(limit) != 1 || len(delta) != 1 {
		return inputErrorf("start, limit and delta are not scalars")
	}
	if delta[0] == math.MinInt64 { // has no negative
		return nil
	}
	n, err := rangeExtent(start[0], limit[0], delta[0])
	if err != nil {
		return err
	}
	in.SetTensor(0, d, graph.Shape{n})
	if k, ok := n.Int(); ok && k <= maxKnown {
		elems := make([]graph.Dim, k)
		for i := range elems {
			elems[i] = start[0].Add(graph.Const(int64(i) * delta[0]))
		}
		in.Know(0, elems)
	}
	return nil
}

// rangeExtent is intSteps for dims.
func rangeExtent(start, limit graph.Dim, delta int64) (graph.Dim, error) {
	s, ok := start.Int()
	l, ok2 := limit.Int()
	switch {
	case ok && ok2 || delta == 0:
		n, err := intSteps(s, l, delta)
		return graph.Const(n), err
	case delta < 0:
		return maxDim(stepsIn(start.Sub(limit), -delta), graph.Const(0)), nil
	}
	return maxDim(stepsIn(limit.Sub(start), delta), graph.Const(0)), nil
}
