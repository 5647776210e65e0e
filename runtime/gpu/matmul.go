package gpu

import (
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// isMatMul reports whether a node is ONNX MatMul, or onnxruntime's FusedMatMul with no
// more than its factor and transB.
func isMatMul(n *graph.Node) bool {
	fused := n.Domain == op.Microsoft && n.Op == "FusedMatMul"
	if !n.Is("MatMul") && !fused || !areFloats(n.In(0), n.In(1)) || !isTensor(n.Out(0)) {
		return false
	}
	return !slices.ContainsFunc([]string{"transA", "transBatchA", "transBatchB"}, func(a string) bool { return n.Int(a, 0) != 0 })
}

// matmulProduct covers products with a constant matrix.
func matmulProduct(n *graph.Node, uses map[*graph.Value][]graph.Use) (*product, bool) {
	if !isMatMul(n) || len(n.Inputs[0].Type.Shape) == 0 {
		return nil, false
	}
	a := n.Inputs[0]
	w, swapped, behind := storedWeight(n.Inputs[1], uses)
	if w.Const == nil || w.Const.Len() == 0 || len(w.Type.Shape) != 2 || !fits(a.Type.DType, w.Type.DType) {
		return nil, false
	}
	p := &product{nodes: append(behind, n), in: []*graph.Value{a, w}, alpha: n.Float("alpha", 1), columns: true}
	p.dense(n.Int("transB", 0) != 0 != swapped)
	return p, true
}

// gemmProduct covers ONNX Gemm with a constant matrix unless A is transposed or C is
// more than a row.
func gemmProduct(n *graph.Node, uses map[*graph.Value][]graph.Use) (*product, bool) {
	if !n.Is("Gemm") || n.Int("transA", 0) != 0 || !areFloats(n.In(0), n.In(1)) {
		return nil, false
	}
	a := n.Inputs[0]
	w, swapped, behind := storedWeight(n.Inputs[1], uses)
	if w.Const == nil || w.Const.Len() == 0 || len(w.Type.Shape) != 2 || !fits(a.Type.DType, w.Type.DType) {
		return nil, false
	}
	p := &product{nodes: append(behind, n), in: []*graph.Value{a, w}, alpha: n.Float("alpha", 1), columns: true}
	if c := n.In(2); c != nil {
		if n.Out(0) == nil || !isRow(c, n.Out(0)) {
			return nil, false
		}
		p.in = append(p.in, c)
		p.bias, p.beta = 2, n.Float("beta", 1)
	}
	p.dense(n.Int("transB", 0) != 0 != swapped)
	return p, true
}

// patchesProduct covers ONNX Conv whose input is no larger than the kernel, as vision
// towers embed patches: [P, C, spatial...] with weights [N, C, spatial...] is a product
// over C and the spatial axes.
func patchesProduct(n *graph.Node, _ map[*graph.Value][]graph.Use) (*product, bool) {
	if !n.Is("Conv") || n.Int("group", 1) != 1 || !areFloats(n.In(0), n.In(1)) || n.In(1).Const == nil || n.In(1).Const.Len() == 0 {
		return nil, false
	}
	if pad := n.Str("auto_pad", "NOTSET"); pad != "NOTSET" && pad != "" && pad != "VALID" {
		return nil, false
	}
	differs := func(from int64) func(int64) bool { return func(v int64) bool { return v != from } }
	if slices.ContainsFunc(n.Ints("pads"), differs(0)) || slices.ContainsFunc(n.Ints("dilations"), differs(1)) {
		return nil, false
	}
	x, w := n.In(0).Type.Shape, n.In(1).Type.Shape
	if len(x) < 3 || len(w) != len(x) || !x[1:].Equal(w[1:]) {
		return nil, false
	}
	p := &product{nodes: []*graph.Node{n}, in: n.Inputs, alpha: 1, beta: 1}
	if bias := n.In(2); bias != nil {
		if !areFloats(n.In(0), bias) {
			return nil, false
		}
		p.bias = 2
	}
	p.dense(true)
	return p, true
}

// lowerMatMul covers products of any two tensors: MatMul with broadcasting batches, and
// Gemm.
func lowerMatMul(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	gemm := n.Is("Gemm") && areFloats(n.In(0), n.In(1)) && isTensor(n.Out(0))
	if !gemm && !isMatMul(n) {
		return Group{}, false
	}
	if n.In(2) != nil && !areFloats(n.In(0), n.In(2)) {
		return Group{}, false
	}
	transA, transB, alpha, beta := n.Int("transA", 0) != 0, n.Int("transB", 0) != 0, n.Float("alpha", 1), n.Float("beta", 1)
	g := single(n)
	g.Record = func(r *Recorder) error {
		a, b, c, y := r.In[0], r.In[1], r.Optional(2), r.Out[0]
		// Both become [batch..., row, column] by their strides; a vector has one row, or
		// one column.
		sa, da := matrixOf(a, transA, false)
		sb, db := matrixOf(b, transB, true)
		k := int(da[len(da)-1])
		if int(db[len(db)-2]) != k {
			return r.mismatch(a, b, y)
		}
		rank := max(len(da), len(db))
		shape := make([]int64, rank)
		wa, wb := make([]int, rank), make([]int, rank)
		shape[rank-2], shape[rank-1] = da[len(da)-2], db[len(db)-1]
		wa[rank-2], wb[rank-1] = sa[len(sa)-2], sb[len(sb)-1]
		for i := range rank - 2 {
			shape[i] = 1
			for _, side := range []struct {
				shape []int64
				steps []int
				into  []int
			}{{da, sa, wa}, {db, sb, wb}} {
				at := i - (rank - len(side.shape))
				if at < 0 || side.shape[at] == 1 {
					continue
				}
				if shape[i] != 1 && shape[i] != side.shape[at] {
					return r.mismatch(a, b, y)
				}
				shape[i], side.into[i] = side.shape[at], side.steps[at]
			}
		}
		n := 1
		for _, d := range shape {
			n *= int(d)
		}
		if y.Len() != n {
			return r.mismatch(a, b, y)
		}
		var wc []int
		if c != nil {
			var ok bool
			if wc, ok = broadcast(c.Shape, shape); !ok {
				return r.mismatch(a, b, c, y)
			}
		}
		return r.Launch("matmul", "matmul", over(n), wide, a, typeOf(a), b, typeOf(b), c, c != nil, y, typeOf(y), k, sa[len(sa)-1], sb[len(sb)-2], alpha, beta, newWalk(shape, wa, wb, wc))
	}
	return g, true
}

// matrixOf returns the strides and extents of a tensor as matrices: a vector becomes a
// row, or a column; swapped exchanges the last two axes.
func matrixOf(t *Tensor, swapped, column bool) (steps []int, shape []int64) {
	shape, steps = slices.Clone(t.Shape), strides(t.Shape)
	if len(shape) == 1 {
		if column {
			return []int{1, 0}, []int64{shape[0], 1}
		}
		return []int{0, 1}, []int64{1, shape[0]}
	}
	if n := len(shape); swapped && n > 1 {
		shape[n-1], shape[n-2] = shape[n-2], shape[n-1]
		steps[n-1], steps[n-2] = steps[n-2], steps[n-1]
	}
	return steps, shape
}
