package op

import (
	"math"

	"mnnconv/graph"
)

// LRN is ONNX LRN: local response normalisation over channels.
var LRN = &Op{
	Name: "LRN", Since: 1,
	Doc: "Y = X / (bias + alpha/size·S)^beta with S the sum of X² over the size channels around each one, of X [N, C, ...]; " +
		"alpha is 0.0001, beta 0.75 and bias 1 by default. Kept in float64 and rounded once.",
	Inputs: []string{"X"}, Outputs: []string{"Y"}, Attrs: []string{"alpha", "beta", "bias", "size"},
	Infer: only(isReal, sameShape),
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if err := c.wantChannels(); err != nil {
			return err
		}
		size := c.Node.Int("size", 0)
		if size < 1 || size > math.MaxInt32 {
			return inputErrorf("size is %d", size)
		}
		alpha, beta, bias := float64(c.Node.Float("alpha", 1e-4)), float64(c.Node.Float("beta", 0.75)), float64(c.Node.Float("bias", 1))
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, x.Shape...)
		if err != nil {
			return err
		}
		y, channels, plane := make([]float64, len(v)), int(x.Shape[1]), extent(x.Shape[2:])
		before, after := int(size-1)/2, int(size)/2
		for i := range y {
			ch, at := i/plane%channels, i%plane
			image := i / plane / channels * channels * plane
			sum := 0.0
			for k := max(0, ch-before); k <= min(channels-1, ch+after); k++ {
				e := v[image+k*plane+at]
				sum += float64(e * e)
			}
			y[i] = v[i] / math.Pow(bias+float64(alpha/float64(size)*sum), beta)
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		return []Case{{
			Name:  "three channels",
			Attrs: []graph.Attr{{Name: "size", Value: int64(3)}, {Name: "alpha", Value: float32(3)}, {Name: "beta", Value: float32(1)}},
			In:    []*graph.Tensor{graph.Floats([]float32{1, 2, 3}, 1, 3, 1)},
			Want:  []*graph.Tensor{graph.Floats([]float32{1.0 / 6, 2.0 / 15, 3.0 / 14}, 1, 3, 1)},
			Tol:   1e-7,
		}}
	},
}
