package op

import (
	"fmt"
	"slices"

	"mnnconv/graph"
)

// FusedMatMul is onnxruntime's MatMul with transposes and a factor.
var FusedMatMul = &Op{
	Domain: Microsoft, Name: "FusedMatMul", Since: 1,
	Doc:    "Y = alpha·A'·B' as MatMul, where ' swaps the last two axes if transA or transB is 1.",
	Inputs: []string{"A", "B"}, Outputs: []string{"Y"},
	Attrs: []string{"alpha", "transA", "transB", "transBatchA", "transBatchB"},
	Infer: func(in *Inference) error {
		d, err := in.commonDType(0, 1)
		if err != nil {
			return err
		}
		f := fusedForm(in.Node)
		s, err := in.matrixShape(swapLast(in.Type(0).Shape, f.transA), swapLast(in.Type(1).Shape, f.transB))
		in.SetTensor(0, d, s)
		return err
	},
	Eval: func(c *Call) error {
		if c.Node.Int("transBatchA", 0) != 0 || c.Node.Int("transBatchB", 0) != 0 {
			return fmt.Errorf("transBatchA and transBatchB are %w", ErrUnsupported)
		}
		return evalMatMul(c, fusedForm(c.Node))
	},
	FLOPs: productFLOPs,
	Cases: func() []Case {
		a := graph.Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
		return []Case{{
			Name:  "transB",
			Attrs: []graph.Attr{{Name: "transB", Value: int64(1)}},
			In:    []*graph.Tensor{a, graph.Floats([]float32{1, 0, 1, 0, 1, 0}, 2, 3)},
			Want:  []*graph.Tensor{graph.Floats([]float32{4, 2, 10, 5}, 2, 2)},
		}, {
			Name:  "transA and alpha",
			Attrs: []graph.Attr{{Name: "transA", Value: int64(1)}, {Name: "alpha", Value: float32(0.5)}},
			In:    []*graph.Tensor{a, graph.Floats([]float32{1, 1}, 2, 1)},
			Want:  []*graph.Tensor{graph.Floats([]float32{2.5, 3.5, 4.5}, 3, 1)},
		}}
	},
}

func fusedForm(n *graph.Node) matmulForm {
	return matmulForm{transA: n.Int("transA", 0) != 0, transB: n.Int("transB", 0) != 0, alpha: n.Float("alpha", 1)}
}

// swapLast returns s with its last two extents exchanged if swap is set and
// there are two.
func swapLast(s graph.Shape, swap bool) graph.Shape {
	if n := len(s); swap && n > 1 {
		s = slices.Clone(s)
		s[n-1], s[n-2] = s[n-2], s[n-1]
	}
	return s
}
