package op

import (
	"math"

	"mnnconv/graph"
)

// OneHot is ONNX OneHot.
var OneHot = &Op{
	Name: "OneHot", Since: 9,
	Doc: "values[1] where the position along a new axis (default: the last) of depth extents is the index, else values[0]; negative " +
		"indices count from the end, those outside give values[0] only.",
	Inputs: []string{"indices", "depth", "values"}, Outputs: []string{"output"}, Attrs: []string{"axis"},
	Infer: func(in *Inference) error {
		s, d := in.Type(0).Shape, in.Type(2).DType
		if !s.Ranked() {
			in.SetTensor(0, d, nil)
			return nil
		}
		depth, ok := in.Elements(1)
		if t := in.Const(1); !ok && t != nil {
			n, err := wholeNumbers(t)
			if err != nil {
				return err
			}
			depth, ok = dimsOf(n), true
		}
		if !ok {
			depth = []graph.Dim{in.Fresh("depth")}
		}
		if len(depth) != 1 {
			return inputErrorf("depth has %d elements, want one", len(depth))
		}
		shape, err := withAxes(s, []int64{in.Node.Int("axis", -1)}, depth[0])
		if err != nil {
			return err
		}
		in.SetTensor(0, d, shape)
		return nil
	},
	Eval: func(c *Call) error {
		at, values := c.Arg(0), c.Arg(2)
		depth, err := wholeNumbers(c.Arg(1))
		if err != nil {
			return err
		}
		if len(depth) != 1 || depth[0] < 0 || values.Len() != 2 {
			return inputErrorf("depth %v and %d values, want one depth and two values", depth, values.Len())
		}
		axis, err := resolveAxis(c.Node.Int("axis", -1), len(at.Shape)+1)
		if err != nil {
			return err
		}
		indices, err := wholeNumbers(at)
		if err != nil {
			return err
		}
		shape, err := withAxes(at.Shape, []int64{int64(axis)}, depth[0])
		if err != nil {
			return err
		}
		m, err := c.moveTo(0, values, shape...)
		if err != nil || m.dst.Len() == 0 {
			return err
		}
		m.walk(0, 0, 0, m.dst.Len())
		n, inner := int(depth[0]), count(at.Shape[axis:])
		for i, j := range indices {
			if j < 0 {
				j += depth[0]
			}
			if j >= 0 && j < depth[0] {
				m.copy((i/inner*n+int(j))*inner+i%inner, 1, 1)
			}
		}
		return nil
	},
	Cases: func() []Case {
		values := graph.Floats([]float32{-1, 1})
		return []Case{{
			Name: "last axis", In: []*graph.Tensor{graph.Ints([]int64{0, -1, 7}), graph.Scalar(3), values},
			Want: []*graph.Tensor{graph.Floats([]float32{1, -1, -1, -1, -1, 1, -1, -1, -1}, 3, 3)},
		}, {
			Name: "axis 0, float indices", Attrs: []graph.Attr{{Name: "axis", Value: int64(0)}},
			In:   []*graph.Tensor{graph.Floats([]float32{1.5, 0}), graph.Floats([]float32{2}), graph.Ints([]int64{0, 5})},
			Want: []*graph.Tensor{graph.Ints([]int64{0, 5, 5, 0}, 2, 2)},
		}, {
			Name: "scalar index", In: []*graph.Tensor{graph.Scalar(1), graph.Ints([]int64{2}), values},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 1})},
		}, {
			Name: "no indices", In: []*graph.Tensor{graph.Ints(nil, 0), graph.Scalar(2), values}, Want: []*graph.Tensor{graph.Floats(nil, 0, 2)},
		}}
	},
}

// wholeNumbers returns the elements of a numeric tensor truncated to int64;
// what does not fit becomes the smallest one.
func wholeNumbers(t *graph.Tensor) ([]int64, error) {
	switch {
	case t.DType == graph.Float64:
		return truncated(graph.View[float64](t)), nil
	case isReal(t.DType):
		v, err := t.Float32s()
		return truncated(v), err
	}
	return t.Int64s()
}

func truncated[T float32 | float64](v []T) []int64 {
	out := make([]int64, len(v))
	for i, f := range v {
		out[i] = math.MinInt64
		if f > -1<<63 && f < 1<<63 {
			out[i] = int64(f)
		}
	}
	return out
}
