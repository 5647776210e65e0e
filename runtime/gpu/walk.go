package gpu

import "math"

// maxAxes is how many axes kernels take.
const maxAxes = 8

// walk is kernels/dialect.h's Walk: n elements of up to eight axes, the last one
// fastest, along with three tensors that go on by so many elements along each.
type walk struct {
	N       uint32
	Axes    int32
	Dim     [maxAxes]uint32
	A, B, C [maxAxes]int32
}

// newWalk walks a shape. Axes of one element go, and those that are one walk in all
// three tensors are joined.
func newWalk(shape []int64, a, b, c []int) walk {
	w := walk{N: 1}
	of := func(s []int, i int) int32 {
		if s == nil {
			return 0
		}
		return int32(s[i])
	}
	for i, d := range shape {
		w.N *= uint32(d)
		if d == 1 {
			continue
		}
		x, y, z := of(a, i), of(b, i), of(c, i)
		if k := w.Axes - 1; k >= 0 && w.A[k] == x*int32(d) && w.B[k] == y*int32(d) && w.C[k] == z*int32(d) && int64(w.Dim[k])*d <= math.MaxInt32 {
			w.Dim[k] *= uint32(d)
			w.A[k], w.B[k], w.C[k] = x, y, z
			continue
		}
		k := w.Axes
		w.Dim[k], w.A[k], w.B[k], w.C[k] = uint32(d), x, y, z
		w.Axes++
	}
	if w.Axes == 0 {
		w.Axes, w.Dim[0] = 1, 1
	}
	return w
}

// strides returns by how many elements a dense tensor goes on along each axis.
func strides(shape []int64) []int {
	out := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		out[i] = n
		n *= int(shape[i])
	}
	return out
}

// broadcast returns the strides of a tensor that is repeated to fill out; ok is false
// if it does not.
func broadcast(shape, out []int64) (s []int, ok bool) {
	if len(shape) > len(out) {
		return nil, false
	}
	own := strides(shape)
	s = make([]int, len(out))
	for i := range shape {
		at := len(out) - len(shape) + i
		switch shape[i] {
		case out[at]:
			s[at] = own[i]
		case 1:
		default:
			return nil, false
		}
	}
	return s, true
}
