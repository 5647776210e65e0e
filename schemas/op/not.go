package op

import (
	"fmt"

	"mnnconv/graph"
)

// Not is ONNX Not: element-wise logical negation.
var Not = &Op{
	Name: "Not", Since: 1,
	Doc:    "Y = not X, element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: only(isBool, func(in *Inference) error {
		in.SetTensor(0, graph.Bool, in.Type(0).Shape)
		return nil
	}),
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if x.DType != graph.Bool {
			return fmt.Errorf("not defined for %s: %w", x.DType, ErrUnsupported)
		}
		out, err := c.New(0, graph.Bool, x.Shape...)
		if err != nil {
			return err
		}
		for i, v := range x.Data {
			out.Data[i] = bit(v == 0)
		}
		return nil
	},
	Cases: func() []Case {
		return []Case{{
			Name: "matrix",
			In:   []*graph.Tensor{bools([]bool{true, false}, 1, 2)},
			Want: []*graph.Tensor{bools([]bool{false, true}, 1, 2)},
		}, {
			Name: "scalar",
			In:   []*graph.Tensor{bools([]bool{false}, []int64{}...)},
			Want: []*graph.Tensor{bools([]bool{true}, []int64{}...)},
		}}
	},
}
