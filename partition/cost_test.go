package partition

import (
	"testing"

	"mnnconv/graph"
)

// TestKernelCost wants fused values to cost nothing, views nothing, states what is
// written over them, and caches by the context.
func TestKernelCost(t *testing.T) {
	f32 := func(dims ...any) graph.Type { return graph.TensorOf(graph.Float32, dims...) }
	g := graph.New("g")
	in := func(typ graph.Type) *graph.Value { return g.NewInput("x", typ) }
	node := func(op string, out graph.Type, ins ...*graph.Value) *graph.Node {
		n := g.NewNode("", op, 24, ins, "y")
		n.Outputs[0].Type = out
		return n
	}
	n := graph.Sym("n")
	x, w := in(f32(n, 8)), in(f32(8, 4))
	product := node("MatMul", f32(n, 4), x, w)
	sum := node("Add", f32(n, 4), product.Outputs[0], in(f32(4)))
	reshape := node("Reshape", f32(4, n), x)
	cache := in(f32(1, 2, 100, 4))
	scatter := node("TensorScatter", f32(1, 2, 100, 4), cache, in(f32(1, 2, n, 4)))
	q := in(f32(1, 2, n, 4))
	attend := node("Attention", f32(1, 2, n, 4), q, cache, cache, nil, nil, nil, in(graph.TensorOf(graph.Int64, 1)))
	for name, c := range map[string]struct {
		kernel Kernel
		want   Cost
	}{
		"fused":   {Kernel{Nodes: []*graph.Node{product, sum}, Out: sum.Outputs}, Cost{Bytes: 4 * (3*8 + 32 + 4 + 3*4), FLOPs: 2 * 3 * 8 * 4}},
		"view":    {Kernel{Nodes: []*graph.Node{reshape}, Out: reshape.Outputs, View: true}, Cost{}},
		"state":   {Kernel{Nodes: []*graph.Node{scatter}, Out: scatter.Outputs, InPlace: 1}, Cost{Bytes: 4 * (24 + 24)}},
		"cache":   {Kernel{Nodes: []*graph.Node{attend}, Out: attend.Outputs}, Cost{Bytes: 4*24*2 + 8, ContextBytes: 4 * 8, ContextFLOPs: 2 * (24 + 24)}},
		"unknown": {Kernel{Nodes: []*graph.Node{node("MatMul", graph.Type{}, x, w)}}, Cost{Bytes: 4 * (24 + 32)}},
	} {
		if got := c.kernel.Cost(graph.Env{"n": 3}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
