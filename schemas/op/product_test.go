package op

import (
	"context"
	"fmt"
	"testing"

	"mnnconv/graph"
)

// BenchmarkProducts times the references that run as fallback in real models,
// at sizes of a model of 2 billion weights. An operation is a multiplication and
// an addition.
func BenchmarkProducts(b *testing.B) {
	f := func(shape ...int64) *graph.Tensor { t, _ := graph.NewTensor(graph.Float32, shape...); return t }
	u8 := func(shape ...int64) *graph.Tensor { t, _ := graph.NewTensor(graph.Uint8, shape...); return t }
	nbits := []graph.Attr{{Name: "K", Value: int64(2048)}, {Name: "N", Value: int64(512)}, {Name: "block_size", Value: int64(32)}}
	for _, k := range []struct {
		name       string
		op         *Op
		operations int
		attrs      []graph.Attr
		in         []*graph.Tensor
	}{
		{"MatMul 16 rows", MatMul, 16 * 2048 * 512, nil, []*graph.Tensor{f(16, 2048), f(2048, 512)}},
		{"MatMulNBits 1 row", MatMulNBits, 2048 * 512, nbits, []*graph.Tensor{f(1, 2048), u8(512, 64, 16), f(512, 64)}},
		{"MatMulNBits 16 rows", MatMulNBits, 16 * 2048 * 512, nbits, []*graph.Tensor{f(16, 2048), u8(512, 64, 16), f(512, 64)}},
		{"Conv of 64 patches", Conv, 64 * 1176 * 1280, nil, []*graph.Tensor{f(64, 3, 2, 14, 14), f(1280, 3, 2, 14, 14)}},
		{"Attention of 256 queries", Attention, 2 * 4 * 256 * 256 * 128, nil, []*graph.Tensor{f(1, 4, 256, 128), f(1, 2, 256, 128), f(1, 2, 256, 128)}},
	} {
		b.Run(k.name, func(b *testing.B) {
			g := graph.New("benchmark")
			var ins []*graph.Value
			for i, x := range k.in {
				ins = append(ins, g.NewInput(fmt.Sprint("in", i), x.Type()))
			}
			n := g.NewNode(k.op.Domain, k.op.Name, 24, ins, "out")
			n.Attrs = k.attrs
			table := NewTable(k.op)
			for b.Loop() {
				if _, err := table.Eval(context.Background(), n, k.in, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(k.operations)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gop/s")
		})
	}
}
