package op

import (
	"math"

	"mnnconv/graph"
)

// Det is ONNX Det.
var Det = &Op{
	Name: "Det", Since: 11,
	Doc:    "The determinants of square matrices, the last two axes of X, by elimination with pivots in float64, rounded once.",
	Inputs: []string{"X"}, Outputs: []string{"Y"},
	Infer: only(isReal, func(in *Inference) error {
		s := in.Type(0).Shape
		in.SetTensor(0, in.Type(0).DType, nil)
		if !s.Ranked() {
			return nil
		}
		if len(s) < 2 {
			return in.Errorf("shape %s holds no matrices", s)
		}
		if _, err := in.agree("rows and columns", s[len(s)-2], s[len(s)-1]); err != nil {
			return err
		}
		in.SetTensor(0, in.Type(0).DType, append(graph.Shape{}, s[:len(s)-2]...))
		return nil
	}),
	Eval: func(c *Call) error {
		x := c.Arg(0)
		rank := len(x.Shape)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if rank < 2 || x.Shape[rank-1] != x.Shape[rank-2] {
			return inputErrorf("shape %v holds no square matrices", x.Shape)
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, x.Shape[:rank-2]...)
		if err != nil {
			return err
		}
		n, y := int(x.Shape[rank-1]), make([]float64, out.Len())
		for i := range y {
			y[i] = determinant(append([]float64{}, v[i*n*n:][:n*n]...), n)
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "a stack",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 0, 1, 1, 0}, 2, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{-2, -1})},
		}, {
			Name: "singular",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 2, 4}, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{0}).Reshape()},
		}}
	},
}

// determinant eliminates the n×n matrix a in place.
func determinant(a []float64, n int) float64 {
	det := 1.0
	for k := range n {
		p := k
		for i := k + 1; i < n; i++ {
			if math.Abs(a[i*n+k]) > math.Abs(a[p*n+k]) {
				p = i
			}
		}
		if a[p*n+k] == 0 {
			return 0
		}
		if p != k {
			for j := range n {
				a[p*n+j], a[k*n+j] = a[k*n+j], a[p*n+j]
			}
			det = -det
		}
		det *= a[k*n+k]
		for i := k + 1; i < n; i++ {
			f := a[i*n+k] / a[k*n+k]
			for j := k; j < n; j++ {
				a[i*n+j] -= float64(f * a[k*n+j])
			}
		}
	}
	return det
}
