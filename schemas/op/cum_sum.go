package op

import (
	"fmt"

	"mnnconv/graph"
)

// CumSum is ONNX CumSum: running sums along an axis.
var CumSum = &Op{
	Name: "CumSum", Since: 11,
	Doc: "y[i] = sum of x[j] along axis over j <= i; exclusive leaves x[i] itself out, reverse runs from the end. " +
		"Floats are kept in float64 and rounded once per element; integers wrap. axis is a scalar (a vector of one element is taken too).",
	Inputs: []string{"x", "axis"}, Outputs: []string{"y"},
	Attrs: []string{"exclusive", "reverse"},
	Infer: func(in *Inference) error {
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
	},
	Eval: func(c *Call) error {
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
			return runningSums(c, axis, float64s, storeFloats)
		case isInteger(x.DType):
			return runningSums(c, axis, (*graph.Tensor).Int64s, storeInts)
		}
		return fmt.Errorf("not defined for %s: %w", x.DType, ErrUnsupported)
	},
	Cases: func() []Case {
		set := func(names ...string) []graph.Attr {
			attrs := []graph.Attr{}
			for _, n := range names {
				attrs = append(attrs, graph.Attr{Name: n, Value: int64(1)})
			}
			return attrs
		}
		x, zero := graph.Ints([]int64{1, 2, 3}), graph.Scalar(0)
		return []Case{{
			Name: "inclusive",
			In:   []*graph.Tensor{x, zero},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 3, 6})},
		}, {
			Name: "exclusive", Attrs: set("exclusive"),
			In:   []*graph.Tensor{x, zero},
			Want: []*graph.Tensor{graph.Ints([]int64{0, 1, 3})},
		}, {
			Name: "reverse", Attrs: set("reverse"),
			In:   []*graph.Tensor{x, zero},
			Want: []*graph.Tensor{graph.Ints([]int64{6, 5, 3})},
		}, {
			Name: "exclusive and reverse", Attrs: set("exclusive", "reverse"),
			In:   []*graph.Tensor{x, zero},
			Want: []*graph.Tensor{graph.Ints([]int64{5, 3, 0})},
		}, {
			Name: "first axis, int32 index vector",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 3, 2), graph.FromSlice(graph.Int32, []int32{-2})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 4, 6, 9, 12}, 3, 2)},
		}, {
			Name: "no elements",
			In:   []*graph.Tensor{graph.Floats(nil, 2, 0), graph.Scalar(1)},
			Want: []*graph.Tensor{graph.Floats(nil, 2, 0)},
		}}
	},
}

func runningSums[T int64 | float64](c *Call, axis int, elements func(*graph.Tensor) ([]T, error), store func(*graph.Tensor, []T) error) error {
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
			var sum T
			for j := range n {
				i := base + j*inner
				if reverse {
					i = base + (n-1-j)*inner
				}
				if exclusive {
					y[i] = sum
				}
				sum += x[i]
				if !exclusive {
					y[i] = sum
				}
			}
		}
	}
	return store(out, y)
}
