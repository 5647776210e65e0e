package op

import (
	"math"

	"mnnconv/graph"
)

// QLinearMatMul is ONNX QLinearMatMul.
var QLinearMatMul = &Op{
	Name: "QLinearMatMul", Since: 10,
	Doc: "y = saturate(round(S·a_scale·b_scale/y_scale) + y_zero_point) with S = (a - a_zero_point)·(b - b_zero_point) in int32, ties to even. " +
		"Scales and zero points are one number, or for a and y one per row, for b one per column.",
	Inputs:  []string{"a", "a_scale", "a_zero_point", "b", "b_scale", "b_zero_point", "y_scale", "y_zero_point"},
	Outputs: []string{"y"},
	Infer: func(in *Inference) error {
		s, err := in.matrixShape(in.Type(0).Shape, in.Type(3).Shape)
		in.SetTensor(0, in.Type(7).DType, s)
		return err
	},
	Eval: func(c *Call) error {
		sum, err := integerProduct(c.Arg(0), c.Arg(2), c.Arg(3), c.Arg(5))
		if err != nil {
			return err
		}
		s, _ := matrixStacks(c.Arg(0).Shape, c.Arg(3).Shape, matmulForm{})
		zero := c.Arg(7)
		q, ok := newQuantizer(zero.DType)
		if !ok {
			return undefinedFor(zero.DType)
		}
		var params [4]func(row, col int) float32
		for i, p := range []struct {
			t       *graph.Tensor
			columns bool
		}{{c.Arg(1), false}, {c.Arg(4), true}, {c.Arg(6), false}, {zero, false}} {
			if params[i], err = perLine(p.t, s.m, s.n, p.columns); err != nil {
				return err
			}
		}
		y, err := c.New(0, zero.DType, sum.Shape...)
		if err != nil {
			return err
		}
		for i, v := range graph.View[int32](sum) {
			row, col := i/s.n%s.m, i%s.n
			f := params[0](row, col) * params[1](row, col) / params[2](row, col)
			q.put(y, i, math.RoundToEven(float64(float32(v)*f))+float64(params[3](row, col)))
		}
		return nil
	},
	Cases: func() []Case {
		one := func(f float32) *graph.Tensor { return graph.Floats([]float32{f}) }
		u8 := func(shape []int64, v ...uint8) *graph.Tensor { return graph.FromSlice(graph.Uint8, v, shape...) }
		return []Case{{
			Name: "per tensor",
			In: []*graph.Tensor{
				u8([]int64{1, 2}, 3, 5), one(0.5), u8([]int64{1}, 1), u8([]int64{2, 1}, 10, 20), one(0.25), u8([]int64{1}, 0), one(2), u8([]int64{1}, 7),
			},
			Want: []*graph.Tensor{u8([]int64{1, 1}, 13)}, // (2·10 + 4·20)/16 = 6.25
		}, {
			Name: "scales per column, saturated",
			In: []*graph.Tensor{
				u8([]int64{1, 1}, 100), one(1), u8([]int64{1}, 0), u8([]int64{1, 2}, 2, 2), graph.Floats([]float32{1, 2}), u8([]int64{2}, 0, 0), one(1), u8([]int64{1}, 10),
			},
			Want: []*graph.Tensor{u8([]int64{1, 2}, 210, 255)},
		}}
	},
}

// perLine returns the parameter of an element of an m×n matrix: t holds one
// number, or one per row, or one per column.
func perLine(t *graph.Tensor, m, n int, columns bool) (func(row, col int) float32, error) {
	v, err := t.Float32s()
	switch {
	case err != nil:
		return nil, err
	case len(v) == 1:
		return func(int, int) float32 { return v[0] }, nil
	case len(t.Shape) == 1 && columns && len(v) == n:
		return func(_, col int) float32 { return v[col] }, nil
	case len(t.Shape) == 1 && !columns && len(v) == m:
		return func(row, _ int) float32 { return v[row] }, nil
	}
	return nil, inputErrorf("quantisation parameters of shape %v for matrices of %d by %d", t.Shape, m, n)
}
