package op

import (
	"slices"

	"mnnconv/graph"
)

// GlobalAveragePool is ONNX GlobalAveragePool.
var GlobalAveragePool = &Op{
	Name: "GlobalAveragePool", Since: 1,
	Doc:    "Y [N, C, 1, ...] is the mean over the spatial axes of X [N, C, ...]; floats of 16 bits sum in float32.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: func(in *Inference) error {
		s := slices.Clone(in.Type(0).Shape)
		if s.Ranked() && len(s) < 2 {
			return in.Errorf("input has shape %s", s)
		}
		for i := 2; i < len(s); i++ {
			s[i] = graph.Const(1)
		}
		in.SetTensor(0, in.Type(0).DType, s)
		return nil
	},
	Eval: func(c *Call) error {
		switch d := c.Arg(0).DType; {
		case d == graph.Float64:
			return globalAverage[float64](c)
		case isReal(d):
			return globalAverage[float32](c)
		default:
			return undefinedFor(d)
		}
	},
	Cases: func() []Case {
		return []Case{{
			Name: "2-D",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 6, 0, 0, 0, 4}, 1, 2, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{3, 1}, 1, 2, 1, 1)},
		}, {
			Name: "float16 sums in float32",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{60000, 60000}, 1, 1, 2)},
			Want: []*graph.Tensor{narrow(graph.Float16, []float32{60000}, 1, 1, 1)},
		}}
	},
}

func globalAverage[T floating](c *Call) error {
	x := c.Arg(0)
	if len(x.Shape) < 2 {
		return inputErrorf("input has shape %v", x.Shape)
	}
	shape := slices.Clone(x.Shape)
	fill(shape[2:], 1)
	v, err := elementsAs[T](x)
	if err != nil {
		return err
	}
	out, err := c.New(0, x.DType, shape...)
	if err != nil || len(out.Data) == 0 {
		return err
	}
	y := accumulator[T](out)
	size := len(v) / len(y)
	for i := range y {
		for _, f := range v[i*size:][:size] {
			y[i] += f
		}
		y[i] /= T(size) // of nothing: NaN
	}
	return finish(out, y)
}
