package op

import (
	"fmt"

	"mnnconv/graph"
)

// Div is ONNX Div: element-wise quotient with broadcasting.
var Div = &Op{
	Name: "Div", Since: 7,
	Doc: "C = A / B, element by element, with multidirectional broadcasting; " +
		"integers truncate toward zero, and dividing one by zero is an error.",
	Inputs: []string{"A", "B"}, Outputs: []string{"C"},
	Infer: only(isNumber, inferElementwise(divDims)),
	Eval: func(c *Call) error {
		return evalBinary(c, arith{
			float: func(a, b float64) float64 { return a / b },
			int: func(a, b int64) (int64, error) {
				if b == 0 {
					return 0, errDivisor
				}
				return a / b, nil
			},
			uint: func(a, b uint64) (uint64, error) {
				if b == 0 {
					return 0, errDivisor
				}
				return a / b, nil
			},
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1, -1, 3}), graph.Floats([]float32{4})},
			Want: []*graph.Tensor{graph.Floats([]float32{0.25, -0.25, 0.75})},
		}, {
			Name: "int64 truncates toward zero",
			In:   []*graph.Tensor{graph.Ints([]int64{7, -7, 7, -7}), graph.Ints([]int64{2, 2, -2, -2})},
			Want: []*graph.Tensor{graph.Ints([]int64{3, -3, -3, 3})},
		}, {
			Name: "uint64 beyond int64",
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1<<64 - 2}), graph.FromSlice(graph.Uint64, []uint64{2})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1<<63 - 1})},
		}, {
			Name: "bfloat16",
			In:   []*graph.Tensor{narrow(graph.BFloat16, []float32{1}), narrow(graph.BFloat16, []float32{3})},
			Want: []*graph.Tensor{graph.FromSlice(graph.BFloat16, []uint16{0x3eab})},
		}}
	},
}

var errDivisor = fmt.Errorf("%w: integer division by zero", ErrInput)

// divDims divides toward zero: the same as Dim's floor where the quotient is
// exact or nothing is negative.
func divDims(x []graph.Dim) (graph.Dim, bool) {
	a, b := x[0], x[1]
	if n, ok := b.Int(); ok {
		if n == 0 {
			return graph.Dim{}, false
		}
		if m, ok := a.Int(); ok {
			return graph.Const(m / n), true
		}
	}
	q := a.Div(b)
	return q, a.NonNegative() && b.NonNegative() || q.Mul(b).Equal(a)
}
