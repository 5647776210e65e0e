package op

import (
	"testing"

	"mnnconv/graph"
)

// TestCost wants the formulas of operators that count, over symbols.
func TestCost(t *testing.T) {
	f32 := func(dims ...any) graph.Type { return graph.TensorOf(graph.Float32, dims...) }
	n := graph.Sym("n")
	for _, c := range []struct {
		domain, op string
		attrs      []graph.Attr
		in         []graph.Type
		out        graph.Type
		flops      string
		reads      []string // of each input
	}{
		{"", "MatMul", nil, []graph.Type{f32(1, n, 64), f32(64, 10)}, f32(1, n, 10), "1280*n", []string{"64*n", "640"}},
		{"", "Gemm", []graph.Attr{{Name: "transA", Value: int64(1)}}, []graph.Type{f32(64, n), f32(64, 10)}, f32(n, 10), "1280*n", nil},
		{Microsoft, "MatMulNBits", nil, []graph.Type{f32(n, 64), graph.TensorOf(graph.Uint8, 10, 2, 16), f32(20)}, f32(n, 10), "1280*n", nil},
		{"", "Conv", nil, []graph.Type{f32(1, 3, 8, 8), f32(4, 3, 2, 2)}, f32(1, 4, 7, 7), "4704", nil},
		{"", "Attention", nil, []graph.Type{f32(1, 4, n, 16), f32(1, 2, 9, 16), f32(1, 2, 9, 16)}, f32(1, 4, n, 16), "2304*n", []string{"64*n", "288", "288"}},
		{"", "Attention", nil, []graph.Type{f32(1, 4, n, 16), f32(1, 2, 100, 16), f32(1, 2, 100, 16), f32(), f32(), f32(), graph.TensorOf(graph.Int64, 1)}, f32(1, 4, n, 16),
			"256*context*n", []string{"64*n", "32*context"}},
		{Mnnconv, "SegmentedAttention", nil, []graph.Type{f32(n, 4, 16), f32(n, 4, 16), f32(n, 4, 16), graph.TensorOf(graph.Int64, 2)}, f32(n, 4, 16), "256*n*n", nil},
		{"", "Gather", nil, []graph.Type{f32(1000, 64), graph.TensorOf(graph.Int64, 1, n)}, f32(1, n, 64), "0", []string{"64*n", "n"}},
		{"", "TensorScatter", nil, []graph.Type{f32(1, 2, 100, 16), f32(1, 2, n, 16)}, f32(1, 2, 100, 16), "0", []string{"0", "32*n"}},
		{"", "Reshape", nil, []graph.Type{f32(4, n)}, f32(n, 4), "0", []string{"4*n"}},
		{"test", "Unknown", nil, []graph.Type{f32(4, n)}, f32(n, 4), "0", []string{"4*n"}},
	} {
		g := graph.New("g")
		var in []*graph.Value
		for i, typ := range c.in {
			if c.op == "Attention" && i > 2 && i < 6 {
				in = append(in, nil)
				continue
			}
			in = append(in, g.NewInput("x", typ))
		}
		node := g.NewNode(c.domain, c.op, 24, in, "y")
		node.Outputs[0].Type = c.out
		for _, a := range c.attrs {
			node.SetAttr(a.Name, a.Value)
		}
		want, err := graph.ParseDim(c.flops)
		if err != nil {
			t.Fatal(err)
		}
		if got := FLOPs(node); !got.Equal(want) {
			t.Errorf("%s: %s operations, want %s", c.op, got, want)
		}
		for i, text := range c.reads {
			want, err := graph.ParseDim(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := Reads(node, i); !got.Equal(want) {
				t.Errorf("%s: %s elements of input %d, want %s", c.op, got, i, want)
			}
		}
	}
}
