package host

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// patchesForm covers ONNX Conv whose input is no larger than the kernel, as
// vision towers embed patches: [P, C, spatial...] with weights [N, C, spatial...]
// is a matrix product over C and the spatial axes.
func patchesForm(n *graph.Node, _ map[*graph.Value][]graph.Use) (*productForm, bool) {
	if !n.Is("Conv") || n.Int("group", 1) != 1 || !floats(n.In(0), n.In(1)) {
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
	if _, ok := w.Ints(); !ok {
		return nil, false
	}
	f := &productForm{nodes: []*graph.Node{n}, in: n.Inputs, alpha: 1, beta: 1, bind: bindPatches}
	if bias := n.In(2); bias != nil {
		if !floats(n.In(0), bias) {
			return nil, false
		}
		f.bias = 2
	}
	return f, true
}

func bindPatches(p *product, in []*graph.Tensor) error {
	x, w := in[0], in[1]
	if len(x.Shape) < 3 || !slices.Equal(x.Shape[1:], w.Shape[1:]) {
		return fmt.Errorf("%w: convolution of shape %v with one place for weights of shape %v", op.ErrInput, x.Shape, w.Shape)
	}
	p.k = 1
	for _, d := range w.Shape[1:] {
		p.k *= int(d)
	}
	p.m, p.n, p.transposed = int(x.Shape[0]), int(w.Shape[0]), true
	p.left = dense{x.DType, x.Data, p.k}
	p.dense = dense{w.DType, w.Data, p.k}
	p.right = &p.dense
	return nil
}
