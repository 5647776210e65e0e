package op

import (
	"math"

	"mnnconv/graph"
)

// IsNaN is ONNX IsNaN: element-wise test for not-a-number.
var IsNaN = &Op{
	Name: "IsNaN", Since: 9,
	Doc:    "Y is true where X is NaN, element by element.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: inferTest,
	Eval:  func(c *Call) error { return evalTest(c, math.IsNaN) },
	Cases: func() []Case {
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		return []Case{{
			Name: "float",
			In:   []*graph.Tensor{graph.Floats([]float32{1, nan, inf}, 3, 1)},
			Want: []*graph.Tensor{bools([]bool{false, true, false}, 3, 1)},
		}, {
			Name: "float16",
			In:   []*graph.Tensor{narrow(graph.Float16, []float32{nan, -inf})},
			Want: []*graph.Tensor{bools([]bool{true, false})},
		}, {
			Name: "float8e4m3fn",
			In:   []*graph.Tensor{graph.FromSlice(graph.Float8E4M3FN, []uint8{0x7e, 0x7f})},
			Want: []*graph.Tensor{bools([]bool{false, true})},
		}}
	},
}

// evalTest sets a bool output to test of every element of a floating-point input.
func evalTest(c *Call, test func(float64) bool) error {
	x := c.Arg(0)
	if !x.DType.IsFloat() {
		return inputErrorf("%s tensor where floats are needed", x.DType)
	}
	v, err := x.Float64s()
	if err != nil {
		return err
	}
	out, err := c.New(0, graph.Bool, x.Shape...)
	if err != nil {
		return err
	}
	for i := range v {
		out.Data[i] = bit(test(v[i]))
	}
	return nil
}

var inferTest = only(graph.DType.IsFloat, func(in *Inference) error {
	in.SetTensor(0, graph.Bool, in.Type(0).Shape)
	return nil
})
