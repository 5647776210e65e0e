package op

import "mnnconv/graph"

// LpNormalization is ONNX LpNormalization.
var LpNormalization = &Op{
	Name: "LpNormalization", Since: 1,
	Doc:    "output = input / (Σ |input|^p)^(1/p) along axis (default the last); p is 1 or 2 (default). Where the norm is 0, 0. Kept in float64 and rounded once.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"axis", "p"},
	Infer: only(isReal, func(in *Inference) error {
		if s := in.Type(0).Shape; s.Ranked() {
			if _, err := resolveAxis(in.Node.Int("axis", -1), len(s)); err != nil {
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
		p, err := normOrder(c.Node)
		if err != nil {
			return err
		}
		axis, err := resolveAxis(c.Node.Int("axis", -1), len(x.Shape))
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
		y, n, inner := make([]float64, len(v)), int(x.Shape[axis]), extent(x.Shape[axis+1:])
		line := make([]float64, n)
		for start := 0; start < len(v); start += n * inner {
			for base := start; base < start+inner; base++ {
				for j := range line {
					line[j] = v[base+j*inner]
				}
				norm := lpNorm(line, p)
				for j := range line {
					if norm != 0 {
						y[base+j*inner] = line[j] / norm
					}
				}
			}
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "p 2",
			In:   []*graph.Tensor{graph.Floats([]float32{3, -4, 0, 0}, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.6, -0.8, 0, 0}, 2, 2)},
		}, {
			Name: "p 1, first axis", Attrs: []graph.Attr{{Name: "p", Value: int64(1)}, {Name: "axis", Value: int64(0)}},
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, -3, 2}, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{0.25, 0.5, -0.75, 0.5}, 2, 2)},
		}}
	},
}
