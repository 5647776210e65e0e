package passes

import p "mnnconv/graph"

var swishPattern = p.Op("Mul", p.Any("x"), p.Op("Sigmoid", p.Any("x")))

// swish raises x·Sigmoid(x), the gate of SwiGLU (Shazeer 2020).
func swish(c *context) error {
	r := c.rewriter()
	for _, n := range c.g.Nodes {
		if !n.Is("Mul") {
			continue
		}
		b, ok := swishPattern.Match(n.Outputs[0])
		if !ok {
			continue
		}
		m := r.add(n, "Swish", nil, 1, b.Value("x"))
		r.take(m, 0, n.Outputs[0])
		c.raised("Swish")
	}
	return r.apply()
}
