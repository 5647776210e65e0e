package op

import "mnnconv/graph"

// What CumSum and CumProd share.

func inferRunning(in *Inference) error {
	if err := in.accept(0, isNumber); err != nil {
		return err
	}
	if err := in.accept(1, isInteger); err != nil {
		return err
	}
	s := in.Type(0).Shape
	if axis, ok := in.Ints(1); ok && s.Ranked() {
		if len(axis) != 1 {
			return in.Errorf("axis has %d elements, want a scalar", len(axis))
		}
		if _, err := resolveAxis(axis[0], len(s)); err != nil {
			return err
		}
	}
	in.SetTensor(0, in.Type(0).DType, s)
	return nil
}

// evalRunning folds the elements along the axis of input 1 into running results,
// of which the first is start.
func evalRunning(c *Call, start int64, floats func(a, b float64) float64, ints func(a, b int64) int64) error {
	x, a := c.Arg(0), c.Arg(1)
	index, err := a.Int64s()
	if err != nil {
		return err
	}
	if len(index) != 1 {
		return inputErrorf("axis has shape %v, want a scalar", a.Shape)
	}
	axis, err := resolveAxis(index[0], len(x.Shape))
	if err != nil {
		return err
	}
	switch {
	case isReal(x.DType):
		return running(c, axis, float64(start), floats, (*graph.Tensor).Float64s, storeFloats)
	case isInteger(x.DType):
		return running(c, axis, start, ints, (*graph.Tensor).Int64s, storeInts)
	}
	return undefinedFor(x.DType)
}

func running[T int64 | float64](c *Call, axis int, first T, f func(a, b T) T, elements func(*graph.Tensor) ([]T, error), store func(*graph.Tensor, []T) error) error {
	t := c.Arg(0)
	x, err := elements(t)
	if err != nil {
		return err
	}
	out, err := c.New(0, t.DType, t.Shape...)
	if err != nil || len(x) == 0 {
		return err
	}
	exclusive, reverse := c.Node.Int("exclusive", 0) != 0, c.Node.Int("reverse", 0) != 0
	n, inner := int(t.Shape[axis]), extent(t.Shape[axis+1:])
	y := make([]T, len(x))
	for start := 0; start < len(x); start += n * inner {
		for base := start; base < start+inner; base++ {
			sum := first
			for j := range n {
				i := base + j*inner
				if reverse {
					i = base + (n-1-j)*inner
				}
				if exclusive {
					y[i] = sum
				}
				sum = f(sum, x[i])
				if !exclusive {
					y[i] = sum
				}
			}
		}
	}
	return store(out, y)
}
