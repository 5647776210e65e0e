package passes

import (
	p "mnnconv/graph"
)

// The forms in which exporters decompose RMSNorm (Zhang and Sennrich 2019): the
// square as Pow or Mul, the root as Sqrt then Div or Reciprocal, with casts to
// float32 around the statistics and back before the weight.
var (
	rmsInput  = p.Any("x")
	rmsSquare = p.Or(p.Op("Pow", rmsInput, p.Literal(2)), p.Op("Mul", rmsInput, rmsInput))
	rmsRoot   = p.Op("Sqrt", p.Op("Add", p.Op("ReduceMean", rmsSquare).More().As("mean"), p.ScalarOf("eps")))
	rmsScaled = p.Or(
		p.Op("Mul", rmsInput, p.Op("Div", p.Literal(1), rmsRoot)),
		p.Op("Mul", rmsInput, p.Op("Reciprocal", rmsRoot)),
		p.Op("Div", rmsInput, rmsRoot))
	rmsPattern = p.Op("Mul", p.Maybe("Cast", rmsScaled.As("scaled")), p.ConstOf("weight"))
)

// rmsNorm raises decomposed RMSNorm over the last axis.
func rmsNorm(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if !n.Is("Mul") {
			continue
		}
		b, ok := rmsPattern.Match(n.Outputs[0])
		if !ok || !lastAxis(b.Node("mean")) {
			continue
		}
		x, w := b.Value("x"), b.Value("weight")
		rank := len(x.Type.Shape)
		if rank == 0 || len(w.Type.Shape) != 1 || !w.Type.Shape[0].Equal(x.Type.Shape[rank-1]) {
			continue
		}
		if !n.Outputs[0].Type.Shape.Equal(x.Type.Shape) { // a constant of more axes adds some
			continue
		}
		// A cast that only widened the input for the statistics is what stash_type
		// says; the result is cast to the input's type before the weight.
		if d := x.Def; d.Is("Cast") && x.Type.DType == p.Float32 && narrow(d.Inputs[0].Type.DType) && n.Outputs[0].Type.DType == d.Inputs[0].Type.DType {
			x = d.Inputs[0]
		}
		if x.Type.DType != n.Outputs[0].Type.DType || w.Type.DType != x.Type.DType {
			continue
		}
		eps, _ := b.Float("eps")
		m := r.add(n, "RMSNormalization", attrs{"axis": -1, "epsilon": eps, "stash_type": 1}, 1, x, w)
		r.take(m, 0, n.Outputs[0])
		c.raised("RMSNormalization")
	}
	return r.apply()
}

func narrow(d p.DType) bool { return d == p.Float16 || d == p.BFloat16 }

// lastAxis reports whether a reduction runs over the last axis alone and keeps it.
func lastAxis(n *p.Node) bool {
	axes, ok := axesOf(n)
	if !ok || len(axes) != 1 || n.Int("keepdims", 1) != 1 {
		return false
	}
	return axes[0] == -1 || axes[0] == int64(len(n.Inputs[0].Type.Shape)-1)
}
