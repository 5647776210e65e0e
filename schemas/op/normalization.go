package op

import (
	"math"
	"slices"

	"mnnconv/graph"
)

// standardize stores (x - mean)·inv in y, where mean is that of x and inv is
// 1/sqrt(variance + eps) with the population variance.
func standardize[T floating](y, x []T, eps T) (mean, inv T) {
	n := T(len(x))
	for _, v := range x {
		mean += v
	}
	mean /= n
	var variance T
	for i, v := range x {
		d := v - mean
		y[i] = d
		variance += T(d * d)
	}
	inv = 1 / T(math.Sqrt(float64(variance/n+eps)))
	for i := range y {
		y[i] *= inv
	}
	return mean, inv
}

// divideByRMS stores x/rms in y, where rms is sqrt(mean of x² + eps), and
// returns 1/rms.
func divideByRMS[T floating](y, x []T, eps T) (inv T) {
	var sum T
	for _, v := range x {
		sum += T(v * v)
	}
	rms := T(math.Sqrt(float64(sum/T(len(x)) + eps)))
	for i, v := range x {
		y[i] = v / rms
	}
	return 1 / rms
}

// spread returns the elements of t broadcast to the extents of shape from axis
// on, or, where t has more axes than that, to all of shape. Element i of a tensor
// of that shape goes with element i mod the length of the result.
func spread[T ring](t *graph.Tensor, shape []int64, axis int) ([]T, error) {
	v, err := elementsAs[T](t)
	if err != nil {
		return nil, err
	}
	to := shape[axis:]
	if len(t.Shape) > len(to) {
		to = shape
	}
	if slices.Equal(t.Shape, to) {
		return v, nil
	}
	if s, err := BroadcastShape(to, t.Shape); err != nil || !slices.Equal(s, to) {
		return nil, inputErrorf("shape %v does not broadcast to %v", t.Shape, to)
	}
	n, err := graph.Elements(to)
	if err != nil {
		return nil, err
	}
	if all, err := graph.Elements(shape); all == 0 {
		return make([]T, 1), err // goes with nothing, however long it would be
	}
	out := make([]T, n)
	return out, broadcastIndex(to, to, t.Shape, func(i, _, it int) error { out[i] = v[it]; return nil })
}

// normRows is a tensor seen as rows to be normalised: the extents from axis on.
type normRows struct {
	axis, size int
	stat       []int64 // shape of one number per row: 1 from axis on
}

// rowsFrom splits a shape at the axis that the attribute of the node names.
func rowsFrom(n *graph.Node, shape []int64) (normRows, error) {
	axis, err := resolveAxis(n.Int("axis", -1), len(shape))
	if err != nil {
		return normRows{}, err
	}
	r := normRows{axis: axis, stat: slices.Clone(shape)}
	size, err := graph.Elements(shape[axis:])
	for i := axis; i < len(shape); i++ {
		r.stat[i] = 1
	}
	r.size = int(size)
	return r, err
}

// each calls f with every row of a tensor of n elements.
func (r normRows) each(n int, f func(row, from, to int)) {
	for i := 0; r.size > 0 && i*r.size < n; i++ {
		f(i, i*r.size, (i+1)*r.size)
	}
}

// inferNorm infers operators that normalise input 0 from an axis on: the result
// has dtype d, and the outputs listed in stats hold one number per row.
func inferNorm(in *Inference, d, statType graph.DType, stats ...int) error {
	s := in.Type(0).Shape
	in.SetTensor(0, d, s)
	for _, i := range stats {
		in.SetTensor(i, statType, nil)
	}
	if !s.Ranked() {
		return nil
	}
	axis, err := resolveAxis(in.Node.Int("axis", -1), len(s))
	if err != nil {
		return err
	}
	stat := slices.Clone(s)
	for i := axis; i < len(s); i++ {
		stat[i] = graph.Const(1)
	}
	for _, i := range stats {
		in.SetTensor(i, statType, stat)
	}
	return nil
}
