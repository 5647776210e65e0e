package host

import "mnnconv/graph"

// gate is Swish(g)·u of two products g and u: SwiGLU (Shazeer, "GLU Variants Improve
// Transformer", 2020). Neither is rounded before it multiplies.
type gate struct{ alpha float32 }

// lowerGated covers that where both products are of one value and their weights are
// stored alike.
func lowerGated(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Mul") || len(n.Inputs) != 2 || !floats(n.Inputs[0], n.Inputs[1], n.Outputs[0]) {
		return Group{}, false
	}
	for i, v := range n.Inputs {
		swish, up := v.Def, n.Inputs[1-i]
		if !swish.Is("Swish") || len(uses[v]) != 1 || len(uses[up]) != 1 || up.Def == nil {
			continue
		}
		g := swish.Inputs[0]
		if g.Def == nil || len(uses[g]) != 1 || !g.Type.Shape.Equal(up.Type.Shape) || !up.Type.Shape.Equal(n.Outputs[0].Type.Shape) {
			continue
		}
		a, ok := productOf(g.Def, uses)
		b, ok2 := productOf(up.Def, uses)
		if !ok || !ok2 || a.in[0] != b.in[0] || a.layout != b.layout || a.layout.bits == 0 && a.layout.rank != 2 || !a.ofWeights() || !b.ofWeights() {
			continue
		}
		alpha := swish.Float("alpha", 1)
		f := (&region{products: []*productForm{a, b}, gate: &gate{alpha}}).group()
		f.Name += ", Swish·Mul"
		f.Nodes = append(f.Nodes, swish, n)
		f.Out = n.Outputs
		return f, true
	}
	return Group{}, false
}

// stretch computes parts of both products, and of the output.
func (k *gate) stretch(w *Worker, g, u *product, from, to int) {
	kept := g.kept()
	scratch := w.Floats(kept + max(g.scratch-kept, u.scratch))
	g.stretch(from, to, func(t task) {
		gates, gateBias, _ := g.sums(w, scratch[:g.scratch], t)
		ups, upBias, _ := u.sums(w, scratch[kept:], t)
		for r := range t.m {
			s, up, at := g.complete(gates.Row(r, t.n), gateBias), u.complete(ups.Row(r, t.n), upBias), g.at(t, r)
			y := floatsFor(g.out, at, s)
			vectors.SwishMul(y, s, up, k.alpha)
			putFloats(g.out, at, y)
		}
	})
}
