package op

import (
	"fmt"

	"mnnconv/graph"
)

// mover copies whole elements from one tensor to another of the same dtype:
// what Gather, Slice, Transpose and the like share.
type mover struct {
	dst, src *graph.Tensor
	size     int // bytes of one element; 0: strings
}

// newMover returns an error for types that pack several elements into a byte.
func newMover(dst, src *graph.Tensor) (mover, error) {
	bits := src.DType.Bits()
	switch {
	case dst.DType != src.DType:
		return mover{}, fmt.Errorf("%w: %s elements cannot be put into a %s tensor", graph.ErrType, src.DType, dst.DType)
	case src.DType != graph.String && (bits == 0 || bits%8 != 0):
		return mover{}, fmt.Errorf("moving %s elements is %w", src.DType, ErrUnsupported)
	}
	return mover{dst, src, bits / 8}, nil
}

// moveTo allocates output i with x's dtype and the given shape, and a mover
// from x to it.
func (c *Call) moveTo(i int, x *graph.Tensor, shape ...int64) (mover, error) {
	out, err := c.New(i, x.DType, shape...)
	if err != nil {
		return mover{}, err
	}
	return newMover(out, x)
}

// copy copies n elements; both places are counted in elements.
func (m mover) copy(dst, src, n int) {
	if m.size == 0 {
		copy(m.dst.Strings[dst:dst+n], m.src.Strings[src:])
		return
	}
	copy(m.dst.Data[dst*m.size:(dst+n)*m.size], m.src.Data[src*m.size:])
}

// all copies every element; the counts must match.
func (m mover) all() { m.copy(0, 0, m.dst.Len()) }

// strided fills dst in row-major order as a tensor of the given shape, whose
// element (i0, i1, …) is the element of src at offset + Σ ik·strides[k]. A
// stride of 0 repeats, a negative one walks backwards.
func (m mover) strided(shape []int64, offset int, strides []int) {
	var extent, step []int // extents of 1 dropped, axes that are one walk joined
	for k, n := range shape {
		last := len(extent) - 1
		switch {
		case n == 0:
			return
		case n == 1:
		case last >= 0 && step[last] == strides[k]*int(n):
			extent[last] *= int(n)
			step[last] = strides[k]
		default:
			extent = append(extent, int(n))
			step = append(step, strides[k])
		}
	}
	inner := len(extent) - 1
	if inner < 0 {
		m.copy(0, offset, 1)
		return
	}
	index := make([]int, inner)
	for at := 0; ; at += extent[inner] {
		m.walk(at, offset, step[inner], extent[inner])
		k := inner - 1
		for ; k >= 0; k-- {
			index[k]++
			offset += step[k]
			if index[k] < extent[k] {
				break
			}
			offset -= step[k] * extent[k]
			index[k] = 0
		}
		if k < 0 {
			return
		}
	}
}

// walk copies n elements that lie step apart in src to a run in dst.
func (m mover) walk(dst, src, step, n int) {
	switch {
	case step == 1:
		m.copy(dst, src, n)
	case m.size == 0:
		pick(m.dst.Strings[dst:dst+n], m.src.Strings, src, step)
	case m.size == 1:
		pick(m.dst.Data[dst:dst+n], m.src.Data, src, step)
	case m.size == 2:
		pick(graph.ViewBytes[uint16](m.dst.Data)[dst:dst+n], graph.ViewBytes[uint16](m.src.Data), src, step)
	case m.size == 4:
		pick(graph.ViewBytes[uint32](m.dst.Data)[dst:dst+n], graph.ViewBytes[uint32](m.src.Data), src, step)
	case m.size == 8:
		pick(graph.ViewBytes[uint64](m.dst.Data)[dst:dst+n], graph.ViewBytes[uint64](m.src.Data), src, step)
	default:
		for i := range n {
			m.copy(dst+i, src+i*step, 1)
		}
	}
}

func pick[T any](dst, src []T, at, step int) {
	for i := range dst {
		dst[i] = src[at]
		at += step
	}
}

// partOf copies the n extents of x along axis k that start at at.
func partOf(x *graph.Tensor, k int, at, n int64) (*graph.Tensor, error) {
	shape := append([]int64{}, x.Shape...)
	shape[k] = n
	out, err := graph.NewTensor(x.DType, shape...)
	if err != nil {
		return nil, err
	}
	m, err := newMover(out, x)
	if err != nil {
		return nil, err
	}
	strides := rowStrides(x.Shape)
	m.strided(shape, int(at)*strides[k], strides)
	return out, nil
}

// rowStrides returns the strides of a row-major tensor, in elements.
func rowStrides(shape []int64) []int {
	strides := make([]int, len(shape))
	step := 1
	for k := len(shape) - 1; k >= 0; k-- {
		strides[k] = step
		step *= int(shape[k])
	}
	return strides
}

// count returns the number of elements of a part of an existing tensor's shape.
func count(shape []int64) int {
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	return n
}
