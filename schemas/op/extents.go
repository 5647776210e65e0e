package op

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// agree returns the extent that a and b share where an operator needs them
// equal: the constant one, if either is. Extents that provably differ are an
// error; what says which ones.
func (in *Inference) agree(what string, a, b graph.Dim) (graph.Dim, error) {
	if n, ok := a.Sub(b).Int(); ok && n != 0 {
		return a, in.Errorf("%s: extents %s and %s differ", what, a, b)
	}
	if _, ok := b.Int(); ok {
		return b, nil
	}
	return a, nil
}

// ranked returns the shape of input i, nil where it is absent or its rank is
// unknown. A rank other than the allowed ones is an error.
func (in *Inference) ranked(i int, allowed ...int) (graph.Shape, error) {
	s := in.Type(i).Shape
	if !s.Ranked() {
		return nil, nil
	}
	if slices.Contains(allowed, len(s)) {
		return s, nil
	}
	return nil, in.Errorf("input %d has shape %s, want rank %v", i, s, allowed)
}

// sameShape is Infer for operators whose first output has the first input's type.
func sameShape(in *Inference) error {
	in.SetTensor(0, in.Type(0).DType, in.Type(0).Shape)
	return nil
}

// inputErrorf returns an error that wraps ErrInput.
func inputErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInput, fmt.Sprintf(format, args...))
}

// wantRank checks the rank of input i of a call.
func (c *Call) wantRank(i int, allowed ...int) error {
	for _, n := range allowed {
		if len(c.Arg(i).Shape) == n {
			return nil
		}
	}
	return inputErrorf("input %d has shape %v, want rank %v", i, c.Arg(i).Shape, allowed)
}

// resolveAxis turns an axis that may count from the end into an index.
func resolveAxis(axis int64, rank int) (int, error) {
	if axis < -int64(rank) || axis >= int64(rank) {
		return 0, inputErrorf("axis %d of a tensor of rank %d", axis, rank)
	}
	if axis < 0 {
		axis += int64(rank)
	}
	return int(axis), nil
}

// wantFloat16or32 checks that input 0 is float32, float16 or bfloat16.
func (c *Call) wantFloat16or32() error {
	switch d := c.Arg(0).DType; d {
	case graph.Float32, graph.Float16, graph.BFloat16:
		return nil
	default:
		return undefinedFor(d)
	}
}
