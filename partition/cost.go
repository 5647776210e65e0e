package partition

import (
	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// Cost is what a kernel does: bytes that it must read and write if every tensor
// moves once, and operations of products and attention. What it does for each row of
// a cache that counts stands apart.
type Cost struct {
	Bytes, FLOPs               float64
	ContextBytes, ContextFLOPs float64
}

// Cost returns a kernel's cost where env gives the symbols their values; what only
// running tells counts nothing. A view costs nothing.
func (k *Kernel) Cost(env graph.Env) Cost {
	var c Cost
	if k.View {
		return c
	}
	none, one := graph.Env{op.Context: 0}, graph.Env{op.Context: 1}
	for name, n := range env {
		none[name], one[name] = n, n
	}
	add := func(d graph.Dim, scale float64, sum, context *float64) {
		a, err := d.Eval(none)
		if err != nil {
			return
		}
		b, err := d.Eval(one)
		if err != nil {
			return
		}
		*sum += float64(float64(a) * scale)
		*context += float64(float64(b-a) * scale)
	}
	inside := map[*graph.Value]bool{}
	seen := map[*graph.Value]bool{}
	for _, n := range k.Nodes {
		add(op.FLOPs(n), 1, &c.FLOPs, &c.ContextFLOPs)
		for i, v := range n.Inputs {
			if v == nil || inside[v] || seen[v] || v.Type.Kind != graph.TensorKind || !v.Type.Shape.Ranked() {
				continue
			}
			seen[v] = true
			add(op.Reads(n, i), float64(v.Type.DType.Bits())/8, &c.Bytes, &c.ContextBytes)
		}
		for _, v := range n.Outputs {
			inside[v] = true
		}
	}
	for i, v := range k.Out {
		if v == nil || v.Type.Kind != graph.TensorKind || !v.Type.Shape.Ranked() {
			continue
		}
		d := v.Type.Shape.Elements()
		if n := v.Def; i < k.InPlace && n.In(1) != nil { // what is written over the state
			d = n.Inputs[1].Type.Shape.Elements()
		}
		add(d, float64(v.Type.DType.Bits())/8, &c.Bytes, &c.ContextBytes)
	}
	return c
}
