package host

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// gemmForm covers ONNX Gemm unless A is transposed or C is more than a row.
func gemmForm(n *graph.Node, uses map[*graph.Value][]graph.Use) (*productForm, bool) {
	if !n.Is("Gemm") || n.Int("transA", 0) != 0 || !floats(n.In(0), n.In(1)) {
		return nil, false
	}
	w, swapped, behind := storedWeight(n.In(1), uses)
	f := &productForm{nodes: append(behind, n), in: []*graph.Value{n.In(0), w}, alpha: n.Float("alpha", 1), columns: true}
	if c := n.In(2); c != nil {
		out := n.Out(0)
		if out == nil || !isRow(c, out) {
			return nil, false
		}
		f.in = append(f.in, c)
		f.bias, f.beta = 2, n.Float("beta", 1)
	}
	transB := n.Int("transB", 0) != 0 != swapped
	f.layout = layout{dtype: w.Type.DType, transposed: transB, rank: 2}
	f.bind = func(p *product, in []*graph.Tensor) error {
		if len(in[0].Shape) != 2 || len(in[1].Shape) != 2 {
			return fmt.Errorf("%w: Gemm of shapes %v and %v", op.ErrInput, in[0].Shape, in[1].Shape)
		}
		return p.bindMatMul(in[0], in[1], transB)
	}
	return f, true
}

// isRow reports whether v, broadcast to out, is one row for all rows, and out's
// shape and type come out unchanged.
func isRow(v, out *graph.Value) bool {
	if !floats(v, out) || len(v.Type.Shape) == 0 || len(v.Type.Shape) > len(out.Type.Shape) {
		return false
	}
	row, last := v.Type.Shape[:len(v.Type.Shape)-1], v.Type.Shape[len(v.Type.Shape)-1]
	for _, d := range row {
		if !d.IsConst(1) {
			return false
		}
	}
	return last.Equal(out.Type.Shape[len(out.Type.Shape)-1])
}
