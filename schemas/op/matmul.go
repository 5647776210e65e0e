package op

import (
	"slices"

	"mnnconv/graph"
)

// MatMul is ONNX MatMul: numpy.matmul over stacks of matrices.
var MatMul = &Op{
	Name: "MatMul", Since: 1,
	Doc:    "Y = A·B as numpy.matmul: batch extents broadcast, a vector is a row on the left and a column on the right; floats of 16 bits sum in float32.",
	Inputs: []string{"A", "B"}, Outputs: []string{"Y"},
	Infer: func(in *Inference) error {
		d, err := in.commonDType(0, 1)
		if err != nil {
			return err
		}
		s, err := in.matrixShape(in.Type(0).Shape, in.Type(1).Shape)
		in.SetTensor(0, d, s)
		return err
	},
	Eval:  func(c *Call) error { return evalMatMul(c, matmulForm{alpha: 1}) },
	FLOPs: productFLOPs,
	Cases: func() []Case {
		return []Case{{
			Name: "2-D",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 2, 2), graph.Floats([]float32{5, 6, 7, 8}, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{19, 22, 43, 50}, 2, 2)},
		}, {
			Name: "batch broadcast from the left",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4}, 2, 1, 2), graph.Floats([]float32{1, 0, 0, 1, 2, 0, 0, 2}, 2, 1, 2, 2)},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 2, 4, 6, 8}, 2, 2, 1, 2)},
		}, {
			Name: "vector by vector",
			In:   []*graph.Tensor{graph.Ints([]int64{1, 2, 3}), graph.Ints([]int64{4, 5, 6})},
			Want: []*graph.Tensor{graph.Scalar(32)},
		}, {
			Name: "no inner extent",
			In:   []*graph.Tensor{graph.Floats(nil, 2, 0), graph.Floats(nil, 0, 1)},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0}, 2, 1)},
		}, {
			Name: "float16 sums in float32", // 2049 has no float16, and the sum of 2048 and 1 twice would stay 2048
			In: []*graph.Tensor{
				graph.FromSlice(graph.Float16, []uint16{0x3c00, 0x3c00, 0x3c00}, 1, 3),
				graph.FromSlice(graph.Float16, []uint16{0x6800, 0x3c00, 0x3c00}, 3, 1),
			},
			Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0x6801}, 1, 1)},
		}}
	},
}

// matmulForm is what FusedMatMul and Gemm add to MatMul.
type matmulForm struct {
	transA, transB bool
	alpha          float32
	addend         *graph.Tensor // broadcast to the result and added beta times; nil: none
	beta           float32
}

// evalMatMul multiplies inputs 0 and 1 into output 0.
func evalMatMul(c *Call, f matmulForm) error {
	a, b := c.Arg(0), c.Arg(1)
	if a.DType != b.DType {
		return inputErrorf("inputs have dtypes %s and %s", a.DType, b.DType)
	}
	switch a.DType {
	case graph.Float32, graph.Float16, graph.BFloat16:
		return matmul[float32](c, f)
	case graph.Float64:
		return matmul[float64](c, f)
	case graph.Int32:
		return matmul[int32](c, f)
	case graph.Int64:
		return matmul[int64](c, f)
	case graph.Uint32:
		return matmul[uint32](c, f)
	case graph.Uint64:
		return matmul[uint64](c, f)
	}
	return undefinedFor(a.DType)
}

func matmul[T ring](c *Call, f matmulForm) error {
	a, b := c.Arg(0), c.Arg(1)
	s, err := matrixStacks(a.Shape, b.Shape, f)
	if err != nil {
		return err
	}
	x, err := elementsAs[T](a)
	if err != nil {
		return err
	}
	y, err := elementsAs[T](b)
	if err != nil {
		return err
	}
	out, err := c.New(0, a.DType, s.out...)
	if err != nil {
		return err
	}
	z := accumulator[T](out)
	if err := s.each(func(i, ia, ib int) error {
		product(z[i*s.m*s.n:][:s.m*s.n], x[ia*s.m*s.k:], y[ib*s.k*s.n:], s.m, s.k, s.n, f)
		return c.Ctx.Err()
	}); err != nil {
		return err
	}
	if f.addend != nil {
		if err := addBroadcast(z, out.Shape, f.addend, f.beta); err != nil {
			return err
		}
	}
	return finish(out, z)
}

// addBroadcast adds beta·t, broadcast to shape, to z.
func addBroadcast[T ring](z []T, shape []int64, t *graph.Tensor, beta float32) error {
	if s, err := BroadcastShape(shape, t.Shape); err != nil || !slices.Equal(s, shape) {
		return inputErrorf("an addend of shape %v does not broadcast to %v", t.Shape, shape)
	}
	v, err := elementsAs[T](t)
	if err != nil {
		return err
	}
	return broadcastIndex(shape, shape, t.Shape, func(i, _, it int) error {
		if beta == 1 {
			z[i] += v[it]
		} else {
			z[i] += T(float64(beta) * float64(v[it]))
		}
		return nil
	})
}

// product stores alpha·A·B in the zeroed c, where A is a or its transpose, m×k
// after that, and B likewise k×n.
func product[T ring](c, a, b []T, m, k, n int, f matmulForm) {
	if f.transA {
		a = transposed(a, k, m)
	}
	if f.transB {
		for i := range m {
			dots(c[i*n:][:n], a[i*k:][:k], b, k, n)
		}
	} else {
		addProduct(c, a, b, m, k, n)
	}
	if f.alpha != 1 {
		for i, v := range c {
			c[i] = T(float64(f.alpha) * float64(v))
		}
	}
}

// stacks describes the product of two stacks of matrices.
type stacks struct {
	batch, a, b []int64 // extents before the matrices: of the result and of each side
	m, k, n     int
	out         []int64 // shape of the result
}

// matrixStacks matches two shapes as numpy.matmul does. The transposes do not
// concern vectors.
func matrixStacks(a, b []int64, f matmulForm) (stacks, error) {
	if len(a) == 0 || len(b) == 0 {
		return stacks{}, inputErrorf("matrix product of shapes %v and %v", a, b)
	}
	ra, rb := len(a), len(b)
	a, b = slices.Clone(a), slices.Clone(b)
	switch {
	case ra == 1:
		a = []int64{1, a[0]}
	case f.transA:
		a[ra-1], a[ra-2] = a[ra-2], a[ra-1]
	}
	switch {
	case rb == 1:
		b = append(b, 1)
	case f.transB:
		b[rb-1], b[rb-2] = b[rb-2], b[rb-1]
	}
	m, k, n := a[len(a)-2], a[len(a)-1], b[len(b)-1]
	if k != b[len(b)-2] {
		return stacks{}, inputErrorf("inner extents %d and %d of a matrix product differ", k, b[len(b)-2])
	}
	s := stacks{a: a[:len(a)-2], b: b[:len(b)-2], m: int(m), k: int(k), n: int(n)}
	var err error
	if s.batch, err = BroadcastShape(s.a, s.b); err != nil {
		return stacks{}, err
	}
	s.out = slices.Clone(s.batch)
	if ra > 1 {
		s.out = append(s.out, m)
	}
	if rb > 1 {
		s.out = append(s.out, n)
	}
	return s, nil
}

// each calls f with the index of every matrix of the result and of the two
// that make it. A result without elements has none.
func (s stacks) each(f func(i, ia, ib int) error) error {
	if s.m == 0 || s.n == 0 {
		return nil
	}
	return broadcastIndex(s.batch, s.a, s.b, f)
}

// matrixShape infers the shape of numpy.matmul.
func (in *Inference) matrixShape(a, b graph.Shape) (graph.Shape, error) {
	if !a.Ranked() || !b.Ranked() {
		return nil, nil
	}
	ra, rb := len(a), len(b)
	if ra == 0 || rb == 0 {
		return nil, in.Errorf("matrix product of shapes %s and %s", a, b)
	}
	rows := max(rb-2, 0)
	if _, err := in.agree("inner extents of a matrix product", a[ra-1], b[rows]); err != nil {
		return nil, err
	}
	s, err := in.Broadcast(a[:max(ra-2, 0)], b[:rows])
	if err != nil {
		return nil, err
	}
	if ra > 1 {
		s = append(s, a[ra-2])
	}
	if rb > 1 {
		s = append(s, b[rb-1])
	}
	return s, nil
}
