package op

import (
	"cmp"
	"fmt"

	"mnnconv/graph"
)

// order is a set of the ways in which two elements may be ordered; a NaN is in
// none of them.
type order uint8

const (
	isLess order = 1 << iota
	isEqual
	isGreater
)

func orderOf[T cmp.Ordered](a, b T) order {
	switch {
	case a < b:
		return isLess
	case a == b:
		return isEqual
	case a > b:
		return isGreater
	}
	return 0
}

// evalCompare sets each element of a bool output to whether the order of the
// two broadcast inputs is in want.
func evalCompare(c *Call, want order) error {
	a, b := c.Arg(0), c.Arg(1)
	if a.DType != b.DType {
		return fmt.Errorf("%w: inputs have dtypes %s and %s", graph.ErrType, a.DType, b.DType)
	}
	shape, err := BroadcastShape(a.Shape, b.Shape)
	if err != nil {
		return err
	}
	out, err := c.New(0, graph.Bool, shape...)
	if err != nil {
		return err
	}
	switch d := a.DType; {
	case d == graph.String:
		return compareEach(out, a, b, want, func(t *graph.Tensor) ([]string, error) { return t.Strings, nil })
	case d == graph.Float64:
		return compareEach(out, a, b, want, (*graph.Tensor).Float64s)
	case d.IsFloat():
		return compareEach(out, a, b, want, (*graph.Tensor).Float32s)
	case d == graph.Uint64:
		return compareEach(out, a, b, want, func(t *graph.Tensor) ([]uint64, error) { return graph.View[uint64](t), nil })
	}
	return compareEach(out, a, b, want, (*graph.Tensor).Int64s)
}

func compareEach[T cmp.Ordered](out, a, b *graph.Tensor, want order, elements func(*graph.Tensor) ([]T, error)) error {
	x, err := elements(a)
	if err != nil {
		return err
	}
	y, err := elements(b)
	if err != nil {
		return err
	}
	return broadcastIndex(out.Shape, a.Shape, b.Shape, func(i, ia, ib int) error {
		out.Data[i] = bit(orderOf(x[ia], y[ib])&want != 0)
		return nil
	})
}

// inferCompare is Infer for comparisons: a bool tensor of the broadcast shape.
func inferCompare(want order) func(*Inference) error {
	return func(in *Inference) error {
		if _, err := in.commonDType(0, 1); err != nil {
			return err
		}
		s, err := in.Broadcast(in.Type(0).Shape, in.Type(1).Shape)
		if err != nil {
			return err
		}
		in.SetTensor(0, graph.Bool, s)
		in.knowEach(func(x []graph.Dim) (graph.Dim, bool) {
			switch possible := orders(x[0], x[1]); {
			case possible&^want == 0:
				return graph.Const(1), true
			case possible&want == 0:
				return graph.Const(0), true
			}
			return graph.Dim{}, false
		})
		return nil
	}
}
