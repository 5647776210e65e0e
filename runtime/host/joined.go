package host

import "mnnconv/graph"

// lowerJoined covers products that read one value, with constant weights and biases,
// as one region: the queries, keys and values of a layer.
func lowerJoined(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	last, ok := productOf(n, uses)
	if !ok || !last.ofWeights() {
		return Group{}, false
	}
	f := &region{}
	for _, u := range uses[last.in[0]] {
		if p, ok := productFrom(u, uses); ok {
			f.products = append(f.products, p)
		}
	}
	if len(f.products) < 2 {
		return Group{}, false
	}
	return f.group(), true
}

// ofWeights reports whether all but the left side is constant.
func (f *productForm) ofWeights() bool {
	for _, v := range f.in[1:] {
		if v != nil && v.Const == nil {
			return false
		}
	}
	return true
}

// productFrom returns the product whose left side a use is, with the bias behind it.
func productFrom(u graph.Use, uses map[*graph.Value][]graph.Use) (*productForm, bool) {
	if u.Node == nil || u.Index != 0 {
		return nil, false
	}
	f, ok := productOf(u.Node, uses)
	if !ok || f.in[0] != u.Node.Inputs[0] || !f.ofWeights() {
		return nil, false
	}
	for {
		out := f.root().Outputs[0]
		if len(uses[out]) != 1 || uses[out][0].Node == nil {
			return f, true
		}
		more, ok := productOf(uses[out][0].Node, uses)
		if !ok || more.in[0] != f.in[0] || !more.ofWeights() {
			return f, true
		}
		f = more
	}
}
