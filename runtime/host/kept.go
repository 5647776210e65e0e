package host

import (
	"bytes"

	"mnnconv/graph"
)

// kept returns a result of the reference evaluation that may outlive the node's
// inputs. The reference hands inputs on where it can (an If gives what a branch
// captured, a sequence holds the tensors that were put in), but their memory is
// the arena's, which later values write over.
func kept(n *graph.Node, in []*graph.Tensor, t *graph.Tensor) *graph.Tensor {
	if t == nil {
		return nil
	}
	if t.Kind != graph.TensorKind {
		c := *t
		c.Elems = make([]*graph.Tensor, len(t.Elems))
		for i, e := range t.Elems {
			c.Elems[i] = kept(n, in, e)
		}
		return &c
	}
	shared := len(n.Bodies) > 0 // or with what a body captures
	for _, x := range in {
		shared = shared || x != nil && overlap(x, t)
	}
	if !shared {
		return t
	}
	c := *t
	c.Data = bytes.Clone(t.Data)
	return &c
}

// overlap reports whether t lies in the memory of x, or of an element of it: whether
// their arrays end at the same byte.
func overlap(x, t *graph.Tensor) bool {
	for _, e := range x.Elems {
		if overlap(e, t) {
			return true
		}
	}
	if cap(x.Data) == 0 || cap(t.Data) == 0 {
		return false
	}
	return &x.Data[:cap(x.Data)][cap(x.Data)-1] == &t.Data[:cap(t.Data)][cap(t.Data)-1]
}
