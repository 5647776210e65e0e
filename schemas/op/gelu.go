package op

import (
	"math"

	"mnnconv/graph"
)

// Gelu is ONNX Gelu: element-wise Gaussian error linear unit.
var Gelu = &Op{
	Name: "Gelu", Since: 20,
	Doc: "approximate=none: Y = X/2 * (1 + erf(X/sqrt(2))); " +
		"approximate=tanh: Y = X/2 * (1 + tanh(sqrt(2/pi) * (X + 0.044715*X^3))), element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Attrs: []string{"approximate"},
	Infer: only(isReal, func(in *Inference) error {
		if _, err := geluOf(in.Node); err != nil {
			return err
		}
		return sameShape(in)
	}),
	Eval: func(c *Call) error {
		f, err := geluOf(c.Node)
		if err != nil {
			return err
		}
		return evalUnary(c, unary{float: f})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{-1, 0, 2, -30})},
			Want: []*graph.Tensor{graph.Floats([]float32{-0.15865526, 0, 1.9544997, 0})},
			Tol:  1e-7,
		}, {
			Name:  "tanh",
			Attrs: []graph.Attr{{Name: "approximate", Value: "tanh"}},
			In:    []*graph.Tensor{graph.Floats([]float32{-1, 0, 2}, 3, 1)},
			Want:  []*graph.Tensor{graph.Floats([]float32{-0.158808, 0, 1.9545977}, 3, 1)},
			Tol:   1e-7,
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{2})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x3fd1})},
		}}
	},
}

func geluOf(n *graph.Node) (func(float64) float64, error) {
	switch a := n.Str("approximate", "none"); a {
	case "none":
		return func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }, nil
	case "tanh":
		return func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+float64(0.044715*x*x*x))))
		}, nil
	default:
		return nil, inputErrorf("approximate is %q, want none or tanh", a)
	}
}
