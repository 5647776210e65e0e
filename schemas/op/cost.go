package op

import (
	"sync"

	"mnnconv/graph"
)

// Context is the symbol of a cost formula for how many rows of a cache count, where
// only data tell (nonpad_kv_seqlen).
const Context = "context"

var standard = sync.OnceValue(All)

// FLOPs returns how many operations on numbers a node does, as a formula over the
// symbols of its types and Context: of products and attention, a multiplication and
// an addition count two. Other operators do so few for each byte that their bytes
// tell their time: 0.
func FLOPs(n *graph.Node) graph.Dim {
	if o, err := standard().Lookup(n); err == nil && o.FLOPs != nil && ranked(n) {
		return o.FLOPs(n)
	}
	return graph.Const(0)
}

// Reads returns how many elements of its input i a node looks at, as a formula: all
// of them, unless the operator says otherwise.
func Reads(n *graph.Node, i int) graph.Dim {
	if o, err := standard().Lookup(n); err == nil && o.Reads != nil && ranked(n) {
		if d, some := o.Reads(n, i); some {
			return d
		}
	}
	return n.Inputs[i].Type.Shape.Elements()
}

// ranked reports whether all tensors of a node have ranks.
func ranked(n *graph.Node) bool {
	for _, v := range append(append([]*graph.Value{}, n.Inputs...), n.Outputs...) {
		if v != nil && !v.Type.Shape.Ranked() {
			return false
		}
	}
	return true
}

// productFLOPs is FLOPs of a product of matrices, whose inner extent is the last one
// of input 0, or the one before it where that is transposed.
func productFLOPs(n *graph.Node) graph.Dim {
	a := n.Inputs[0].Type.Shape
	if len(a) == 0 {
		return graph.Const(0)
	}
	inner := a[len(a)-1]
	if len(a) > 1 && fusedForm(n).transA {
		inner = a[len(a)-2]
	}
	return inner.Mul(n.Outputs[0].Type.Shape.Elements()).Mul(graph.Const(2))
}

// convFLOPs is FLOPs of a convolution: each result sums up the weights of a channel.
func convFLOPs(n *graph.Node) graph.Dim {
	w := n.Inputs[1].Type.Shape
	if len(w) == 0 {
		return graph.Const(0)
	}
	return w[1:].Elements().Mul(n.Outputs[0].Type.Shape.Elements()).Mul(graph.Const(2))
}

// attentionFLOPs is FLOPs of attention to some keys, masked ones included: of each
// query with them, and of the weights with the values.
func attentionFLOPs(n *graph.Node, keys graph.Dim) graph.Dim {
	each := n.Inputs[0].Type.Shape.Elements().Add(n.Outputs[0].Type.Shape.Elements())
	return each.Mul(keys).Mul(graph.Const(2))
}

// attentionKeys is how many keys Attention finds in input k, or by it in a cache.
func attentionKeys(n *graph.Node) graph.Dim {
	if n.In(6) != nil {
		return graph.Sym(Context)
	}
	keys := rowsOfHeads(n.Inputs[1].Type.Shape)
	if past := n.In(4); past != nil {
		keys = keys.Add(rowsOfHeads(past.Type.Shape))
	}
	return keys
}

// rowsOfHeads is the extent of a sequence in [batch, heads, sequence, head] or
// [batch, sequence, heads·head].
func rowsOfHeads(s graph.Shape) graph.Dim {
	if len(s) < 3 {
		return graph.Const(0)
	}
	return s[len(s)-2]
}

// cachedReads is Reads of Attention: the rows of a cache that count.
func cachedReads(n *graph.Node, i int) (graph.Dim, bool) {
	if n.In(6) == nil || i != 1 && i != 2 {
		return graph.Dim{}, false
	}
	s := n.Inputs[i].Type.Shape
	return s.Elements().Div(rowsOfHeads(s)).Mul(graph.Sym(Context)), true
}

// pickedReads is Reads of operators that pick slices of their inputs along an axis,
// as input 1 says.
func pickedReads(attr string) func(n *graph.Node, i int) (graph.Dim, bool) {
	return func(n *graph.Node, i int) (graph.Dim, bool) {
		s := n.Inputs[i].Type.Shape
		axis := n.Int(attr, 0)
		if axis < 0 {
			axis += int64(len(s))
		}
		if i == 1 || axis < 0 || axis >= int64(len(s)) {
			return graph.Dim{}, false
		}
		return s.Elements().Div(s[axis]).Mul(n.Inputs[1].Type.Shape.Elements()), true
	}
}

// noReads is Reads of operators that write into their input 0 and look at the others.
func noReads(_ *graph.Node, i int) (graph.Dim, bool) { return graph.Const(0), i == 0 }
