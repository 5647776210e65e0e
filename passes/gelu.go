package passes

import (
	"math"

	p "mnnconv/graph"
)

// geluPattern is x·(1 + erf(x/√2))·½, with the half at any place.
var geluPattern = func() *p.Pattern {
	x := p.Any("x")
	erf := p.Op("Erf", p.Or(p.Op("Div", x, p.ScalarOf("root")), p.Op("Mul", x, p.ScalarOf("inverse"))))
	one := p.Op("Add", erf, p.Literal(1))
	half := p.Literal(0.5)
	return p.Or(
		p.Op("Mul", p.Op("Mul", x, one), half),
		p.Op("Mul", p.Op("Mul", x, half), one),
		p.Op("Mul", x, p.Op("Mul", one, half)))
}()

// gelu raises the exact Gelu (Hendrycks and Gimpel 2016).
func gelu(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if !n.Is("Mul") {
			continue
		}
		b, ok := geluPattern.Match(n.Outputs[0])
		if !ok || !b.Value("x").Type.Shape.Equal(n.Outputs[0].Type.Shape) { // a constant of more axes adds some
			continue
		}
		if root, ok := b.Float("root"); ok && math.Abs(float64(root)-math.Sqrt2) > 1e-3 {
			continue
		}
		if inv, ok := b.Float("inverse"); ok && math.Abs(float64(inv)-math.Sqrt2/2) > 1e-3 {
			continue
		}
		m := r.add(n, "Gelu", nil, 1, b.Value("x"))
		r.take(m, 0, n.Outputs[0])
		c.raised("Gelu")
	}
	return r.apply()
}
