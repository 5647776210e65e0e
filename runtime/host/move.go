package host

import "mnnconv/graph"

// move copies the elements of a walk from one tensor to another of the same
// dtype: what Transpose, Slice, Concat and the like are made of. a of the walk is
// the destination.
type move struct {
	dst, src     []byte // from the first element on
	size         int    // bytes of an element
	walk         walk
	stepA, stepB int
	cut          cut
}

// isMovable reports whether a value is a tensor of whole bytes, of known rank up
// to maxAxes.
func isMovable(v *graph.Value) bool {
	t := v.Type
	return t.Kind == graph.TensorKind && t.DType.Bits() > 0 && t.DType.Bits()%8 == 0 && t.Shape.Ranked() && len(t.Shape) <= maxAxes
}

// begin sets the tensors, and the elements of each where the walk starts. The
// axes are then added to the walk.
func (m *move) begin(dst, src *graph.Tensor, a, b int) {
	*m = move{size: dst.DType.Bits() / 8}
	m.dst, m.src = dst.Data[a*m.size:], src.Data[b*m.size:]
}

// run copies.
func (m *move) run(c *Call) error {
	m.stepA, m.stepB = m.walk.inner()
	m.cut = cutBy(m.walk.elements(), 1)
	return c.Run(m.cut.parts(), m)
}

// Part implements [Parts].
func (m *move) Part(_ *Worker, i int) {
	from, to := m.cut.part(i)
	m.walk.each(from, to, func(_, a, b, n int) {
		switch {
		case m.stepA == 1 && m.stepB == 1:
			copy(m.dst[a*m.size:][:n*m.size], m.src[b*m.size:])
		case m.size == 1:
			copyApart[uint8](m, a, b, n)
		case m.size == 2:
			copyApart[uint16](m, a, b, n)
		case m.size == 4:
			copyApart[uint32](m, a, b, n)
		case m.size == 8:
			copyApart[uint64](m, a, b, n)
		default:
			for ; n > 0; n-- {
				copy(m.dst[a*m.size:][:m.size], m.src[b*m.size:])
				a, b = a+m.stepA, b+m.stepB
			}
		}
	})
}

// copyApart copies n elements that lie apart.
func copyApart[T graph.Number](m *move, a, b, n int) {
	dst, src := graph.ViewBytes[T](m.dst), graph.ViewBytes[T](m.src)
	for ; n > 0; n-- {
		dst[a] = src[b]
		a, b = a+m.stepA, b+m.stepB
	}
}

// stepsOf stores in steps how many elements apart neighbours along each axis of
// a shape lie, and returns as many steps as there are axes.
func stepsOf(shape []int64, steps *[maxAxes]int) []int {
	n := 1
	for d := len(shape) - 1; d >= 0; d-- {
		steps[d] = n
		n *= int(shape[d])
	}
	return steps[:len(shape)]
}

// axisOf returns an axis counted from the start, if a tensor of that rank has
// it.
func axisOf(axis int64, rank int) (int, bool) {
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), axis >= 0 && axis < int64(rank)
}

// around returns the products of the extents before and behind an axis.
func around(shape []int64, axis int) (outer, inner int) {
	outer, inner = 1, 1
	for d, n := range shape {
		switch {
		case d < axis:
			outer *= int(n)
		case d > axis:
			inner *= int(n)
		}
	}
	return outer, inner
}

// intAt returns element i of a tensor that isIndex takes.
func intAt(t *graph.Tensor, i int) int {
	if t.DType == graph.Int32 {
		return int(graph.View[int32](t)[i])
	}
	return int(graph.View[int64](t)[i])
}

// isIndex reports whether a value is a tensor of int32 or int64.
func isIndex(v *graph.Value) bool {
	return v.Type.Kind == graph.TensorKind && (v.Type.DType == graph.Int32 || v.Type.DType == graph.Int64)
}
