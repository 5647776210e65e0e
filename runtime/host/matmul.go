package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// matmulForm covers ONNX MatMul and onnxruntime's FusedMatMul (its factor and
// transB) of two float tensors of one type.
func matmulForm(n *graph.Node, uses map[*graph.Value][]graph.Use) (*productForm, bool) {
	fused := n.Domain == op.Microsoft && n.Op == "FusedMatMul"
	if !n.Is("MatMul") && !fused {
		return nil, false
	}
	for _, a := range []string{"transA", "transBatchA", "transBatchB"} {
		if n.Int(a, 0) != 0 {
			return nil, false
		}
	}
	a, b := n.In(0), n.In(1)
	if !floats(a, b) || len(a.Type.Shape) == 0 || len(b.Type.Shape) == 0 || max(len(a.Type.Shape), len(b.Type.Shape)) > maxBatch+2 {
		return nil, false
	}
	w, swapped, behind := storedWeight(b, uses)
	f := &productForm{nodes: append(behind, n), in: []*graph.Value{a, w}, alpha: n.Float("alpha", 1), columns: len(b.Type.Shape) > 1}
	transB := n.Int("transB", 0) != 0 != swapped
	f.layout = layout{dtype: w.Type.DType, transposed: transB, rank: len(w.Type.Shape)}
	f.bind = func(p *product, in []*graph.Tensor) error { return p.bindMatMul(in[0], in[1], transB) }
	return f, true
}

// floats reports whether the values are ranked tensors of one float type.
func floats(values ...*graph.Value) bool {
	for _, v := range values {
		if v == nil || v.Type.Kind != graph.TensorKind || !isFloat(v.Type.DType) || v.Type.DType != values[0].Type.DType || !v.Type.Shape.Ranked() {
			return false
		}
	}
	return true
}

// bindMatMul multiplies as numpy.matmul does; transB swaps the last two extents
// of b.
func (p *product) bindMatMul(a, b *graph.Tensor, transB bool) (err error) {
	ra, rb := len(a.Shape), len(b.Shape)
	p.m, p.k = extent(a.Shape, -2), extent(a.Shape, -1)
	k := 0
	switch {
	case rb == 1: // a column
		k, p.n, p.transposed = extent(b.Shape, -1), 1, true
	case transB:
		k, p.n, p.transposed = extent(b.Shape, -1), extent(b.Shape, -2), true
	default:
		k, p.n, p.transposed = extent(b.Shape, -2), extent(b.Shape, -1), false
	}
	if p.k != k {
		return fmt.Errorf("%w: inner extents %d and %d of a matrix product differ", op.ErrInput, p.k, k)
	}
	p.left = dense{a.DType, a.Data, p.k}
	p.dense = dense{b.DType, b.Data, p.n}
	if p.transposed {
		p.dense.cols = p.k
	}
	p.right = &p.dense
	if p.batch, err = newBatch(a.Shape[:max(ra-2, 0)], b.Shape[:max(rb-2, 0)]); err != nil {
		return err
	}
	if p.batch.right() == 1 { // one matrix for all rows
		p.m *= p.batch.count()
		p.batch = batch{}
	}
	return nil
}
