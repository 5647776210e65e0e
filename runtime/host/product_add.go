package host

import (
	"slices"

	"mnnconv/graph"
)

// lowerProduct covers the operators that multiply with weights, and sums behind
// them: a constant row (a bias) and a tensor of the result's shape (a residual),
// one of each at most.
func lowerProduct(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	f, ok := productOf(n, uses)
	if !ok {
		return Group{}, false
	}
	return (&region{products: []*productForm{f}}).group(), true
}

// productOf returns the product that ends in n.
func productOf(n *graph.Node, uses map[*graph.Value][]graph.Use) (*productForm, bool) {
	for _, of := range []func(*graph.Node, map[*graph.Value][]graph.Use) (*productForm, bool){matmulForm, gemmForm, patchesForm, nbitsForm} {
		if f, ok := of(n, uses); ok {
			return f, true
		}
	}
	if !n.Is("Add") {
		return nil, false
	}
	for i, v := range n.Inputs {
		if v == nil || v.Def == nil || len(uses[v]) != 1 {
			continue
		}
		if f, ok := productOf(v.Def, uses); ok && f.add(n.Inputs[1-i], v) {
			f.nodes = append(f.nodes, n)
			return f, true
		}
	}
	return nil, false
}

// add makes v, which is added to the product out, part of it.
func (f *productForm) add(v, out *graph.Value) bool {
	switch {
	case v == nil:
		return false
	case v.Const != nil && f.bias == 0 && f.columns && isRow(v, out):
		f.bias, f.beta = len(f.in), 1
	case f.residual == 0 && floats(v, out) && v.Type.Shape.Equal(out.Type.Shape):
		f.residual = len(f.in)
	default:
		return false
	}
	f.in = append(slices.Clone(f.in), v)
	return true
}
