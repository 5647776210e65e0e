package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
	"mnnconv/schemas/op"
)

// integers is ONNX MatMulInteger of rows and one matrix:
//
//	Y = Σ a·b - zb·(Σ a - k·za) - za·Σ b
//
// for each row and column, exactly, in int32 that wraps. Bytes are taken as the loops
// want them: 128 less, if those of a are unsigned, and more, if those of b are not; zero
// points move with them. A task packs a piece of its columns of b, which all of its rows
// then pass by.
type integers struct {
	a, b           []uint8
	out            []int32
	m, k, n        int
	flipA, flipB   uint8
	za, zb         zeros
	x              simd.Panel[uint8] // rows of a, in whole fours
	sums           []int32           // of rows of x, less k·za
	rows, cols     int               // of a task
	bands, stripes int
	deep           int // of a piece
}

// zeros are zero points, one or one for each row or column, after so much was added.
type zeros struct {
	data []uint8
	sign int32 // 128: of signed bytes
	more int32
}

func (z *zeros) at(i int) int32 {
	if len(z.data) == 0 {
		return z.more
	}
	b := z.data[i%len(z.data)]
	return int32(b^uint8(z.sign)) - z.sign + z.more
}

// lowerMatMulInteger covers that.
func lowerMatMulInteger(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("MatMulInteger") {
		return Group{}, false
	}
	for _, v := range n.Inputs[:2] {
		if d := v.Type.DType; v.Type.Kind != graph.TensorKind || d != graph.Int8 && d != graph.Uint8 || !v.Type.Shape.Ranked() {
			return Group{}, false
		}
	}
	if len(n.In(0).Type.Shape) < 2 || len(n.In(1).Type.Shape) != 2 {
		return Group{}, false
	}
	g := single(n)
	g.Kernel = func(c *Call) error {
		k := memo[integers](c)
		if err := k.set(c); err != nil {
			return err
		}
		if err := c.Run(k.cutRows().parts(), (*integerRows)(k)); err != nil {
			return err
		}
		return c.Run(k.bands*k.stripes, k)
	}
	return g, true
}

// set makes k that of a call.
func (k *integers) set(c *Call) error {
	a, b := c.In[0], c.In[1]
	*k = integers{a: a.Data, b: b.Data, out: graph.View[int32](c.Out[0]), k: extent(a.Shape, -1), n: extent(b.Shape, -1)}
	if rows := extent(b.Shape, -2); rows != k.k {
		return fmt.Errorf("%w: inner extents %d and %d of a matrix product differ", op.ErrInput, k.k, rows)
	}
	k.m = 1
	for _, d := range a.Shape[:len(a.Shape)-1] {
		k.m *= int(d)
	}
	if a.DType == graph.Uint8 {
		k.flipA, k.za.more = 0x80, -128
	}
	if b.DType == graph.Int8 {
		k.flipB, k.zb.more = 0x80, 128
	}
	if err := k.za.set(c.optional(2), a, extent(a.Shape, -2)); err != nil {
		return err
	}
	if err := k.zb.set(c.optional(3), b, k.n); err != nil {
		return err
	}
	workers := c.Pool.Workers()
	k.rows, k.deep = max(1, min(k.m, 512)), 1024
	k.cols = min(256, max(simd.FourCols, ceil(ceil(k.n, 2*workers), simd.FourCols)*simd.FourCols))
	if k.m <= manyDots { // rows of b are read once, some lines of each
		k.deep = 64
	}
	k.bands, k.stripes = ceil(k.m, k.rows), ceil(k.n, k.cols)
	k.x.Stride = (ceil(k.k, 64) | 1) * 64
	memory := c.shared(k.m*k.x.Stride + 4*k.m)
	k.x.At = memory[:k.m*k.x.Stride]
	k.sums = graph.ViewBytes[int32](memory[len(k.x.At):])
	return nil
}

// set takes the zero points of t, of which there may be so many.
func (z *zeros) set(zero, t *graph.Tensor, many int) error {
	if t.DType == graph.Int8 {
		z.sign = 128
	}
	if zero == nil {
		return nil
	}
	if n := zero.Len(); zero.DType != t.DType || n != 1 && (len(zero.Shape) != 1 || n != many) {
		return fmt.Errorf("%w: a zero point of %s for matrices of %s", op.ErrInput, zero.Type(), t.Type())
	}
	z.data = zero.Data
	return nil
}

// integerRows makes rows of x and their sums.
type integerRows integers

func (k *integers) cutRows() cut { return cutBy(k.m, k.k) }

// Part implements [Parts].
func (k *integerRows) Part(_ *Worker, i int) {
	from, to := (*integers)(k).cutRows().part(i)
	for r := from; r < to; r++ {
		x, sum := k.x.Row(r, k.x.Stride), int32(0)
		for i, v := range k.a[r*k.k:][:k.k] {
			x[i] = v ^ k.flipA
			sum += int32(int8(v ^ k.flipA))
		}
		clear(x[k.k:])
		k.sums[r] = sum - int32(k.k)*k.za.at(r)
	}
}

// Part implements [Parts].
func (k *integers) Part(w *Worker, i int) {
	row, col := i%k.bands*k.rows, i/k.bands*k.cols
	m, n := min(k.rows, k.m-row), min(k.cols, k.n-col)
	size := (m + 1) * k.cols
	room := w.Bytes(4*(size+k.cols) + k.deep*simd.FourCols + k.deep)
	take := func(n int) (some []uint8) {
		some, room = room[:n], room[n:]
		return some
	}
	sums := simd.Panel[int32]{At: graph.ViewBytes[int32](take(4 * size)), Stride: k.cols}
	zb := graph.ViewBytes[int32](take(4 * k.cols))[:n]
	packed := graph.ViewBytes[uint32](take(k.deep * simd.FourCols))
	ones := simd.Panel[uint8]{At: take(k.deep), Stride: k.deep}
	for i := range ones.At {
		ones.At[i] = 1
	}
	clear(sums.At)
	for k0 := 0; k0 < k.k; k0 += k.deep {
		deep := min(k.deep, k.k-k0)
		fours := ceil(deep, 4)
		for j := 0; j < n; j += simd.FourCols {
			vectors.PackFours(packed, simd.Panel[uint8]{At: k.b[k0*k.n+col+j:], Stride: k.n}, k.flipB, deep, min(simd.FourCols, n-j))
			vectors.AddFours(sums.From(0, j), k.x.From(row, k0), packed, m, fours)
			vectors.AddFours(sums.From(m, j), ones, packed, 1, fours)
		}
	}
	for j := range zb {
		zb[j] = k.zb.at(col + j)
	}
	columns := sums.Row(m, n)
	for r := range m {
		y, s, sum, za := k.out[(row+r)*k.n+col:][:n], sums.Row(r, n), k.sums[row+r], k.za.at(row+r)
		for j := range y {
			y[j] = s[j] - zb[j]*sum - za*columns[j]
		}
	}
}
