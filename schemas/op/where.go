package op

import (
	"fmt"

	"mnnconv/graph"
)

// Where is ONNX Where: element-wise choice between two tensors.
var Where = &Op{
	Name: "Where", Since: 9,
	Doc:    "output = X where condition is true, else Y, element by element, with multidirectional broadcasting of all three.",
	Inputs: []string{"condition", "X", "Y"}, Outputs: []string{"output"},
	Infer: func(in *Inference) error {
		if err := in.accept(0, isBool); err != nil {
			return err
		}
		d, err := in.commonDType(1, 2)
		if err != nil {
			return err
		}
		s, err := in.Broadcast(in.Type(0).Shape, in.Type(1).Shape, in.Type(2).Shape)
		if err != nil {
			return err
		}
		in.SetTensor(0, d, s)
		if d.IsInt() {
			in.knowEach(func(x []graph.Dim) (graph.Dim, bool) {
				if x[1].Equal(x[2]) {
					return x[1], true
				}
				n, ok := x[0].Int()
				if n != 0 {
					return x[1], ok
				}
				return x[2], ok
			})
		}
		return nil
	},
	Eval: func(c *Call) error {
		cond, x, y := c.Arg(0), c.Arg(1), c.Arg(2)
		if cond.DType != graph.Bool || x.DType != y.DType {
			return fmt.Errorf("%w: %s condition with inputs of %s and %s", graph.ErrType, cond.DType, x.DType, y.DType)
		}
		if bits := x.DType.Bits(); x.DType != graph.String && bits < 8 {
			return fmt.Errorf("not defined for %s: %w", x.DType, ErrUnsupported)
		}
		shape, err := BroadcastShape(cond.Shape, x.Shape, y.Shape)
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, shape...)
		if err != nil {
			return err
		}
		if err := choose(out, cond, x, true); err != nil {
			return err
		}
		return choose(out, cond, y, false)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "mask",
			In: []*graph.Tensor{
				bools([]bool{true, false, false, true}, 2, 2),
				graph.Floats([]float32{1, 2, 3, 4}, 2, 2), graph.Floats([]float32{-1}, []int64{}...),
			},
			Want: []*graph.Tensor{graph.Floats([]float32{1, -1, -1, 4}, 2, 2)},
		}, {
			Name: "all broadcast",
			In:   []*graph.Tensor{bools([]bool{true, false}, 2, 1, 1), graph.Ints([]int64{1, 2}), graph.Ints([]int64{3, 4}, 2, 1)},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 1, 2, 3, 3, 4, 4}, 2, 2, 2)},
		}, {
			Name: "shape arithmetic",
			In:   []*graph.Tensor{bools([]bool{true, false}), graph.Ints([]int64{1, 1}), graph.Ints([]int64{7, 8})},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 8})},
		}, {
			Name: "float16 without elements",
			In:   []*graph.Tensor{bools(nil, 0, 1), narrow(graph.Float16, []float32{1}), narrow(graph.Float16, []float32{2})},
			Want: []*graph.Tensor{narrow(graph.Float16, nil, 0, 1)},
		}, {
			Name: "string",
			In:   []*graph.Tensor{bools([]bool{true, false}), words("a", "b"), words("c")},
			Want: []*graph.Tensor{words("a", "c")},
		}}
	},
}

// choose copies x, broadcast, to the elements of out where cond equals want.
func choose(out, cond, x *graph.Tensor, want bool) error {
	size := x.DType.Bits() / 8
	return broadcastIndex(out.Shape, cond.Shape, x.Shape, func(i, ic, ix int) error {
		switch {
		case (cond.Data[ic] != 0) != want:
		case x.DType == graph.String:
			out.Strings[i] = x.Strings[ix]
		default:
			copy(out.Data[i*size:(i+1)*size], x.Data[ix*size:])
		}
		return nil
	})
}
