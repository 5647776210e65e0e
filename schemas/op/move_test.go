package op

import (
	"context"
	"testing"

	"mnnconv/graph"
)

func benchmarkOp(b *testing.B, n *graph.Node, in ...*graph.Tensor) {
	table := All()
	b.SetBytes(int64(len(in[0].Data)))
	for b.Loop() {
		if _, err := table.Eval(context.Background(), n, in, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTranspose(b *testing.B) {
	g := graph.New("g")
	x := graph.Floats(make([]float32, 1<<20), 1<<10, 1<<10)
	benchmarkOp(b, g.NewNode("", "Transpose", 24, []*graph.Value{g.NewInput("x", x.Type())}, "y"), x)
}

func BenchmarkGather(b *testing.B) {
	g := graph.New("g")
	x, rows := graph.Floats(make([]float32, 1<<20), 1<<12, 1<<8), graph.Ints(make([]int64, 1<<12))
	benchmarkOp(b, g.NewNode("", "Gather", 24, []*graph.Value{g.NewInput("x", x.Type()), g.NewInput("rows", rows.Type())}, "y"), x, rows)
}

func BenchmarkTopK(b *testing.B) {
	g := graph.New("g")
	v := make([]float32, 1<<17)
	for i := range v {
		v[i] = float32(i * 7919 % (1 << 17))
	}
	x, k := graph.Floats(v), graph.Ints([]int64{50})
	benchmarkOp(b, g.NewNode("", "TopK", 24, []*graph.Value{g.NewInput("x", x.Type()), g.NewInput("k", k.Type())}, "y", "i"), x, k)
}
