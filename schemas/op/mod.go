package op

import (
	"math"

	"mnnconv/graph"
)

// Mod is ONNX Mod: element-wise remainder with broadcasting.
var Mod = &Op{
	Name: "Mod", Since: 10,
	Doc: "fmod=0: C = A - B*floor(A/B), with the sign of B (for floats as opset 28 defines it); " +
		"fmod=1: C = A - B*trunc(A/B), with the sign of A. An integer divisor of zero is an error.",
	Inputs: []string{"A", "B"}, Outputs: []string{"C"},
	Attrs: []string{"fmod"},
	Infer: only(isNumber, func(in *Inference) error {
		if in.Node.Int("fmod", 0) != 0 {
			return inferElementwise(truncModDims)(in)
		}
		return inferElementwise(floorModDims)(in)
	}),
	Eval: func(c *Call) error {
		trunc := c.Node.Int("fmod", 0) != 0
		return evalBinary(c, arith{
			float: func(a, b float64) float64 {
				if trunc {
					return math.Mod(a, b)
				}
				return floorMod(a, b)
			},
			int: func(a, b int64) (int64, error) {
				if b == 0 {
					return 0, errDivisor
				}
				m := a % b
				if !trunc && m != 0 && (m < 0) != (b < 0) {
					m += b
				}
				return m, nil
			},
			uint: func(a, b uint64) (uint64, error) {
				if b == 0 {
					return 0, errDivisor
				}
				return a % b, nil
			},
		})
	},
	Cases: func() []Case {
		a, b := graph.Ints([]int64{5, -5, 5, -5, 6}), graph.Ints([]int64{3, 3, -3, -3, 3})
		inf := float32(math.Inf(1))
		return []Case{{
			Name: "sign of the divisor",
			In:   []*graph.Tensor{a, b},
			Want: []*graph.Tensor{graph.Ints([]int64{2, 1, -1, -2, 0})},
		}, {
			Name:  "sign of the dividend",
			Attrs: []graph.Attr{{Name: "fmod", Value: int64(1)}},
			In:    []*graph.Tensor{a, b},
			Want:  []*graph.Tensor{graph.Ints([]int64{2, -2, 2, -2, 0})},
		}, {
			Name:  "float fmod",
			Attrs: []graph.Attr{{Name: "fmod", Value: int64(1)}},
			In:    []*graph.Tensor{graph.Floats([]float32{-4.5, 4.5, 2}), graph.Floats([]float32{2, -2, inf})},
			Want:  []*graph.Tensor{graph.Floats([]float32{-0.5, 0.5, 2})},
		}, {
			Name: "float floor",
			In:   []*graph.Tensor{graph.Floats([]float32{-4.5, 4.5, 2, -2}), graph.Floats([]float32{2, -2, inf, inf})},
			Want: []*graph.Tensor{graph.Floats([]float32{1.5, -1.5, 2, inf})},
		}}
	},
}

// floorMod returns a - b*floor(a/b) with the sign of b, as numpy.mod.
func floorMod(a, b float64) float64 {
	m := math.Mod(a, b)
	switch {
	case m == 0:
		return math.Copysign(0, b)
	case (m < 0) != (b < 0):
		return m + b
	}
	return m
}

func floorModDims(x []graph.Dim) (graph.Dim, bool) {
	a, b := x[0], x[1]
	n, ok := b.Int()
	if ok && n == 0 {
		return graph.Dim{}, false
	}
	if m, isConst := a.Int(); ok && isConst {
		r := m % n
		if r != 0 && (r < 0) != (n < 0) {
			r += n
		}
		return graph.Const(r), true
	}
	return a.Mod(b), true
}

// truncModDims is proven where the remainder is the floor remainder too.
func truncModDims(x []graph.Dim) (graph.Dim, bool) {
	m, ok := floorModDims(x)
	return m, ok && (m.IsConst(0) || x[0].NonNegative() && x[1].NonNegative())
}
