package op

import (
	"math"

	"mnnconv/graph"
)

// MeanVarianceNormalization is ONNX MeanVarianceNormalization.
var MeanVarianceNormalization = &Op{
	Name: "MeanVarianceNormalization", Since: 9,
	Doc:    "Y = (X - E[X]) / (sqrt(E[X²] - E[X]²) + 1e-9), the means over axes (default 0, 2 and 3). Kept in float64 and rounded once.",
	Inputs: []string{"X"}, Outputs: []string{"Y"}, Attrs: []string{"axes"},
	Infer: only(isReal, func(in *Inference) error {
		if s := in.Type(0).Shape; s.Ranked() {
			if _, err := varianceAxes(in.Node, len(s)); err != nil {
				return err
			}
		}
		return sameShape(in)
	}),
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		axes, err := varianceAxes(c.Node, len(x.Shape))
		if err != nil {
			return err
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, x.Shape...)
		if err != nil {
			return err
		}
		// Elements with the same place along the other axes share their moments.
		shape := append([]int64{}, x.Shape...)
		for _, a := range axes {
			shape[a] = 1
		}
		groups := make([]struct{ n, sum, squares float64 }, extent(shape))
		y := make([]float64, len(v))
		each := func(f func(i, g int)) error {
			return broadcastIndex(x.Shape, x.Shape, shape, func(i, _, g int) error { f(i, g); return nil })
		}
		err = each(func(i, g int) {
			groups[g].n++
			groups[g].sum += v[i]
			groups[g].squares += float64(v[i] * v[i])
		})
		if err != nil {
			return err
		}
		err = each(func(i, g int) {
			mean := groups[g].sum / groups[g].n
			variance := groups[g].squares/groups[g].n - float64(mean*mean)
			y[i] = (v[i] - mean) / (math.Sqrt(max(variance, 0)) + 1e-9)
		})
		if err != nil {
			return err
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "per channel",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 3, 5, 5, 1, 3, 5, 5}, 2, 2, 1, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 1, 0, 0, -1, 1, 0, 0}, 2, 2, 1, 2)},
			Tol:  1e-6,
		}, {
			Name: "axes", Attrs: []graph.Attr{{Name: "axes", Value: []int64{-1}}},
			In:   []*graph.Tensor{graph.Floats([]float32{1, 3, 0, 8}, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{-1, 1, -1, 1}, 2, 2)},
			Tol:  1e-6,
		}}
	},
}

func varianceAxes(n *graph.Node, rank int) ([]int, error) {
	axes := n.Ints("axes")
	if axes == nil {
		axes = []int64{0, 2, 3}
	}
	return axesOf(axes, rank)
}
