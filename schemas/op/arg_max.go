package op

import (
	"cmp"
	"fmt"

	"mnnconv/graph"
)

// ArgMax is ONNX ArgMax: where the maximum along an axis is.
var ArgMax = &Op{
	Name: "ArgMax", Since: 1,
	Doc: "reduced = int64 index of the largest element of data along axis (0 by default): the first, or with select_last_index the last. " +
		"A NaN counts as larger than all numbers, as in numpy.argmax. An axis without elements is an error.",
	Inputs: []string{"data"}, Outputs: []string{"reduced"},
	Attrs: []string{"axis", "keepdims", "select_last_index"},
	Infer: inferArg,
	Eval:  func(c *Call) error { return evalArg(c, isGreater) },
	Cases: func() []Case {
		x := graph.Floats([]float32{2, 1, 5, 5, 0, 3}, 2, 3)
		return []Case{{
			Name: "first axis",
			In:   []*graph.Tensor{x},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 0, 0}, 1, 3)},
		}, {
			Name:  "last axis",
			Attrs: []graph.Attr{{Name: "axis", Value: int64(-1)}, {Name: "keepdims", Value: int64(0)}},
			In:    []*graph.Tensor{x},
			Want:  []*graph.Tensor{graph.Ints([]int64{2, 0})},
		}, {
			Name:  "last of equals",
			Attrs: []graph.Attr{{Name: "select_last_index", Value: int64(1)}},
			In:    []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{4, 4, 1})},
			Want:  []*graph.Tensor{graph.Ints([]int64{1})},
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{1, 3, 3})},
			Want: []*graph.Tensor{graph.Ints([]int64{1})},
		}}
	},
}

// evalArg sets output 0 to the indexes of the elements that are in the given
// order to all others along the axis.
func evalArg(c *Call, best order) error {
	x := c.Arg(0)
	axis, err := resolveAxis(c.Node.Int("axis", 0), len(x.Shape))
	if err != nil {
		return err
	}
	if x.Shape[axis] == 0 {
		return inputErrorf("axis %d of shape %v has no elements to choose from", axis, x.Shape)
	}
	marked := make([]bool, len(x.Shape))
	marked[axis] = true
	switch d := x.DType; {
	case isReal(d):
		return argInto(c, marked, best, (*graph.Tensor).Float64s)
	case d == graph.Uint64:
		return argInto(c, marked, best, func(t *graph.Tensor) ([]uint64, error) { return graph.View[uint64](t), nil })
	case isInteger(d):
		return argInto(c, marked, best, (*graph.Tensor).Int64s)
	}
	return fmt.Errorf("not defined for %s: %w", x.DType, ErrUnsupported)
}

func argInto[T cmp.Ordered](c *Call, marked []bool, best order, elements func(*graph.Tensor) ([]T, error)) error {
	x, err := elements(c.Arg(0))
	if err != nil {
		return err
	}
	last := c.Node.Int("select_last_index", 0) != 0
	index, shape, err := reduceGroups(c, marked, x, func(group []T) int64 { return argOf(group, best, last) }, 0)
	if err != nil {
		return err
	}
	out, err := c.New(0, graph.Int64, shape...)
	if err != nil {
		return err
	}
	return storeInts(out, index)
}

func argOf[T cmp.Ordered](x []T, best order, last bool) int64 {
	k := 0
	for i, v := range x {
		var better, same bool
		if v != v || x[k] != x[k] { // NaN
			better, same = x[k] == x[k], v != v && x[k] != x[k]
		} else {
			better, same = orderOf(v, x[k]) == best, v == x[k]
		}
		if better || same && last {
			k = i
		}
	}
	return int64(k)
}

func inferArg(in *Inference) error {
	if err := in.accept(0, isNumber); err != nil {
		return err
	}
	s := in.Type(0).Shape
	if !s.Ranked() {
		in.SetTensor(0, graph.Int64, nil)
		return nil
	}
	axis, err := resolveAxis(in.Node.Int("axis", 0), len(s))
	if err != nil {
		return err
	}
	shape := append(graph.Shape{}, s[:axis]...)
	if in.Node.Int("keepdims", 1) != 0 {
		shape = append(shape, graph.Const(1))
	}
	in.SetTensor(0, graph.Int64, append(shape, s[axis+1:]...))
	return nil
}
