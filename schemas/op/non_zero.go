package op

import (
	"fmt"

	"mnnconv/graph"
)

// NonZero is ONNX NonZero.
var NonZero = &Op{
	Name: "NonZero", Since: 9,
	Doc:    "The indices of the elements that are not zero, in row-major order, one row an axis (one row for a scalar); as numpy.nonzero.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: func(in *Inference) error {
		s := in.Type(0).Shape
		if !s.Ranked() {
			in.SetTensor(0, graph.Int64, graph.Shape{in.Fresh("rank"), in.Fresh("non_zero")})
			return nil
		}
		in.SetTensor(0, graph.Int64, graph.Shape{graph.Const(int64(max(len(s), 1))), in.Fresh("non_zero")})
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		isZero, err := zeroTest(x)
		if err != nil {
			return err
		}
		var found []int
		for i := range x.Len() {
			if !isZero(i) {
				found = append(found, i)
			}
		}
		shape := x.Shape
		if len(shape) == 0 {
			shape = []int64{1}
		}
		out, err := c.New(0, graph.Int64, int64(len(shape)), int64(len(found)))
		if err != nil {
			return err
		}
		v := graph.View[int64](out)
		for k, stride := range rowStrides(shape) {
			for i, at := range found {
				v[k*len(found)+i] = int64(at) / int64(stride) % shape[k]
			}
		}
		return nil
	},
	Cases: func() []Case {
		return []Case{{
			Name: "matrix", In: []*graph.Tensor{graph.Floats([]float32{1, 0, 3, -2}, 2, 2)},
			Want: []*graph.Tensor{graph.Ints([]int64{0, 1, 1, 0, 0, 1}, 2, 3)},
		}, {
			Name: "bool", In: []*graph.Tensor{graph.FromSlice(graph.Bool, []uint8{0, 1, 1})},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 2}, 1, 2)},
		}, {
			Name: "minus zero and NaN", In: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x8000, 0x7e00})},
			Want: []*graph.Tensor{graph.Ints([]int64{1}, 1, 1)},
		}, {
			Name: "none", In: []*graph.Tensor{graph.Ints([]int64{0, 0}, 1, 2)}, Want: []*graph.Tensor{graph.Ints(nil, 2, 0)},
		}, {
			Name: "scalar", In: []*graph.Tensor{graph.Scalar(5)}, Want: []*graph.Tensor{graph.Ints([]int64{0}, 1, 1)},
		}}
	},
}

// zeroTest returns a function that tells whether element i of a tensor is zero
// (of either sign), false or an empty string.
func zeroTest(x *graph.Tensor) (func(i int) bool, error) {
	size := x.DType.Bits() / 8
	signed := byte(0xff)
	switch {
	case x.DType == graph.String:
		return func(i int) bool { return x.Strings[i] == "" }, nil
	case isReal(x.DType):
		signed = 0x7f
	case x.DType != graph.Bool && !isInteger(x.DType):
		return nil, fmt.Errorf("not defined for %s: %w", x.DType, ErrUnsupported)
	}
	return func(i int) bool {
		e := x.Data[i*size : (i+1)*size]
		for _, b := range e[:size-1] {
			if b != 0 {
				return false
			}
		}
		return e[size-1]&signed == 0
	}, nil
}
