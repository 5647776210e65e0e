package op

import (
	"math"

	"mnnconv/graph"
)

// GlobalLpPool is ONNX GlobalLpPool.
var GlobalLpPool = &Op{
	Name: "GlobalLpPool", Since: 2,
	Doc:    "Y [N, C, 1, ...] is (Σ |x|^p)^(1/p) over each channel of X [N, C, ...]; p is 2 by default. Kept in float64 and rounded once.",
	Inputs: []string{"X"}, Outputs: []string{"Y"}, Attrs: []string{"p"},
	Infer: inferGlobalPool,
	Eval: func(c *Call) error {
		p, err := normOrder(c.Node)
		if err != nil {
			return err
		}
		return evalGlobalPool(c, func(x []float64) float64 { return lpNorm(x, p) })
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{3, -4, 0, 0}, 1, 2, 2)
		return []Case{
			{Name: "p 2", In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Floats([]float32{5, 0}, 1, 2, 1)}},
			{Name: "p 1", Attrs: []graph.Attr{{Name: "p", Value: int64(1)}}, In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Floats([]float32{7, 0}, 1, 2, 1)}},
		}
	},
}

// normOrder returns the attribute p of the Lp operators.
func normOrder(n *graph.Node) (float64, error) {
	p := n.Int("p", 2)
	if p < 1 {
		return 0, inputErrorf("p is %d", p)
	}
	return float64(p), nil
}

// lpNorm returns (Σ |x|^p)^(1/p).
func lpNorm(x []float64, p float64) float64 {
	sum := 0.0
	for _, v := range x {
		if p == 2 {
			sum += float64(v * v)
		} else {
			sum += math.Pow(math.Abs(v), p)
		}
	}
	if p == 2 {
		return math.Sqrt(sum)
	}
	return math.Pow(sum, 1/p)
}
