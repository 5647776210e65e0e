package op

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// PRelu is ONNX PRelu: a rectifier with a learned slope for negative values.
var PRelu = &Op{
	Name: "PRelu", Since: 6,
	Doc:    "Y = slope*X where X < 0, else X; slope broadcasts to the shape of X. Before opset 7, a slope of one number per channel counts along axis 1.",
	Inputs: []string{"X", "slope"}, Outputs: []string{"Y"},
	Infer: only(isNumber, sameShape),
	Eval: func(c *Call) error {
		x, slope := c.Arg(0), c.Arg(1)
		if x.DType != slope.DType {
			return fmt.Errorf("%w: inputs have dtypes %s and %s", graph.ErrType, x.DType, slope.DType)
		}
		if c.Node.Version < 7 && len(slope.Shape) == 1 && len(x.Shape) > 1 && slope.Len() > 1 {
			shape := []int64{slope.Shape[0]}
			for range x.Shape[2:] {
				shape = append(shape, 1)
			}
			slope = slope.Reshape(shape...)
		}
		if s, err := BroadcastShape(x.Shape, slope.Shape); err != nil || !slices.Equal(s, x.Shape) {
			return inputErrorf("a slope of shape %v for shape %v", slope.Shape, x.Shape)
		}
		y, err := c.New(0, x.DType, x.Shape...)
		if err != nil {
			return err
		}
		return binaryInto(y, x, slope, arith{
			float: func(a, b float64) float64 {
				if a < 0 {
					return a * b
				}
				return a
			},
			int: func(a, b int64) (int64, error) {
				if a < 0 {
					return a * b, nil
				}
				return a, nil
			},
			uint: func(a, _ uint64) (uint64, error) { return a, nil },
		})
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{-1, 2, -3, -4}, 1, 2, 2)
		return []Case{
			{Name: "broadcast", In: []*graph.Tensor{x, graph.Floats([]float32{2, 0.5}, 2, 1)}, Want: []*graph.Tensor{graph.Floats([]float32{-2, 2, -1.5, -2}, 1, 2, 2)}},
			{Name: "per channel", Version: 6, In: []*graph.Tensor{x, graph.Floats([]float32{2, 0.5})}, Want: []*graph.Tensor{graph.Floats([]float32{-2, 2, -1.5, -2}, 1, 2, 2)}},
			{Name: "integers", In: []*graph.Tensor{graph.Ints([]int64{-3, 3}), graph.Ints([]int64{2})}, Want: []*graph.Tensor{graph.Ints([]int64{-6, 3})}},
		}
	},
}
