package op

import "mnnconv/graph"

// Or is ONNX Or: element-wise logical or with broadcasting.
var Or = &Op{
	Name: "Or", Since: 7,
	Doc:    "C = A or B, element by element, with multidirectional broadcasting.",
	Inputs: []string{"A", "B"}, Outputs: []string{"C"},
	Infer: only(isBool, inferBinary(nil)),
	Eval: func(c *Call) error {
		return evalBinary(c, arith{bool: func(a, b bool) bool { return a || b }})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "truth table",
			In:   []*graph.Tensor{bools([]bool{true, true, false, false}), bools([]bool{true, false, true, false})},
			Want: []*graph.Tensor{bools([]bool{true, true, true, false})},
		}, {
			Name: "broadcast",
			In:   []*graph.Tensor{bools([]bool{true, false}, 2, 1), bools([]bool{true, true})},
			Want: []*graph.Tensor{bools([]bool{true, true, true, true}, 2, 2)},
		}}
	},
}
