package host

import (
	"fmt"

	"mnnconv/schemas/op"
)

// batch is the extents before two stacks of matrices, broadcast as by
// numpy.matmul. The zero value is one matrix on either side.
type batch struct {
	rank   int
	dims   [maxBatch]int // extents of the result
	sa, sb [maxBatch]int // strides, in matrices, of each side; 0 where it repeats
}

const maxBatch = 8

// newBatch matches the extents before the matrices.
func newBatch(a, b []int64) (batch, error) {
	var s batch
	if s.rank = max(len(a), len(b)); s.rank > maxBatch {
		return s, fmt.Errorf("%w: stacks of shapes %v and %v have over %d axes", op.ErrUnsupported, a, b, maxBatch)
	}
	na, nb := 1, 1
	for d := s.rank - 1; d >= 0; d-- {
		x, y := extent(a, d-s.rank), extent(b, d-s.rank)
		if x != y && x != 1 && y != 1 {
			return s, fmt.Errorf("%w: stacks of shapes %v and %v cannot be broadcast together", op.ErrInput, a, b)
		}
		s.dims[d] = x
		if x == 1 {
			s.dims[d] = y
		}
		if x != 1 {
			s.sa[d] = na
		}
		if y != 1 {
			s.sb[d] = nb
		}
		na, nb = na*x, nb*y
	}
	return s, nil
}

// extent returns shape[len(shape)+d], d < 0, and 1 before the first.
func extent(shape []int64, d int) int {
	if d += len(shape); d >= 0 {
		return int(shape[d])
	}
	return 1
}

func (s *batch) count() int {
	n := 1
	for _, d := range s.dims[:s.rank] {
		n *= d
	}
	return n
}

// right returns how many different matrices the right side is.
func (s *batch) right() int {
	n := 1
	for d, step := range s.sb[:s.rank] {
		if step != 0 {
			n *= s.dims[d]
		}
	}
	return n
}

// at returns which matrix of each side makes matrix i of the result.
func (s *batch) at(i int) (a, b int) {
	for d := s.rank - 1; d >= 0; d-- {
		a, b, i = a+i%s.dims[d]*s.sa[d], b+i%s.dims[d]*s.sb[d], i/s.dims[d]
	}
	return a, b
}
