package op

import (
	"slices"

	"mnnconv/graph"
)

// What the global pools share.

func inferGlobalPool(in *Inference) error {
	s := slices.Clone(in.Type(0).Shape)
	if s.Ranked() && len(s) < 2 {
		return in.Errorf("input has shape %s", s)
	}
	for i := 2; i < len(s); i++ {
		s[i] = graph.Const(1)
	}
	in.SetTensor(0, in.Type(0).DType, s)
	return nil
}

// evalGlobalPool makes one number of each channel of input 0 [N, C, ...].
func evalGlobalPool(c *Call, f func(x []float64) float64) error {
	x := c.Arg(0)
	if !isReal(x.DType) {
		return undefinedFor(x.DType)
	}
	if len(x.Shape) < 2 {
		return inputErrorf("input has shape %v", x.Shape)
	}
	shape := slices.Clone(x.Shape)
	fill(shape[2:], 1)
	v, err := x.Float64s()
	if err != nil {
		return err
	}
	out, err := c.New(0, x.DType, shape...)
	if err != nil || len(out.Data) == 0 {
		return err
	}
	y := make([]float64, out.Len())
	size := len(v) / len(y)
	for i := range y {
		y[i] = f(v[i*size:][:size])
	}
	return storeFloats(out, y)
}
