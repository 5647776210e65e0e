package op

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// evalVariadic folds f over all inputs, broadcast together, from the first to
// the last; finish, if not nil, is applied to each floating-point result.
// Floats are kept in float64 and rounded once.
func evalVariadic(c *Call, f arith, finish func(float64) float64) error {
	if len(c.In) == 0 || slices.Contains(c.In, nil) {
		return inputErrorf("%d inputs, want one or more and none absent", len(c.In))
	}
	d := c.In[0].DType
	shapes := make([][]int64, len(c.In))
	for i, x := range c.In {
		if x.DType != d {
			return fmt.Errorf("%w: inputs have dtypes %s and %s", graph.ErrType, d, x.DType)
		}
		shapes[i] = x.Shape
	}
	shape, err := BroadcastShape(shapes...)
	if err != nil {
		return err
	}
	switch {
	case isReal(d) && f.float != nil:
		out, err := c.New(0, d, shape...)
		if err != nil {
			return err
		}
		acc, err := fold(c.In, shape, (*graph.Tensor).Float64s, func(a, b float64) (float64, error) { return f.float(a, b), nil })
		if err != nil {
			return err
		}
		if finish != nil {
			for i, v := range acc {
				acc[i] = finish(v)
			}
		}
		return storeFloats(out, acc)
	case isInteger(d) && f.int != nil:
		out, err := c.New(0, d, shape...)
		if err != nil {
			return err
		}
		op := f.int
		if d == graph.Uint64 { // narrower unsigned numbers fit an int64
			op = func(a, b int64) (int64, error) {
				v, err := f.uint(uint64(a), uint64(b))
				return int64(v), err
			}
		}
		acc, err := fold(c.In, shape, (*graph.Tensor).Int64s, op)
		if err != nil {
			return err
		}
		return storeInts(out, acc)
	}
	return fmt.Errorf("not defined for %s: %w", d, ErrUnsupported)
}

func fold[T int64 | float64](in []*graph.Tensor, shape []int64, elements func(*graph.Tensor) ([]T, error), f func(a, b T) (T, error)) ([]T, error) {
	n, err := graph.Elements(shape)
	if err != nil {
		return nil, err
	}
	acc := make([]T, n)
	for k, t := range in {
		x, err := elements(t)
		if err != nil {
			return nil, err
		}
		err = broadcastIndex(shape, shape, t.Shape, func(i, _, ix int) error {
			if k == 0 {
				acc[i] = x[ix]
				return nil
			}
			v, err := f(acc[i], x[ix])
			acc[i] = v
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return acc, nil
}
