package passes

import (
	"io"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// TestStoreScales has scales that a Cast widens be stored wide where a node is asked to,
// be they computed yet or not.
func TestStoreScales(t *testing.T) {
	for _, later := range []bool{false, true} {
		g := parse(t, `input %x: float32[rows, 16] const %w = uint8[2, 1, 8] {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8} const %s = float16[2, 1] {0.5, 3}
			%wide = Cast-13(%s) {to = 1}
			%a = com.microsoft::MatMulNBits-1(%x, %w, %wide) {K = 16, N = 2, bits = 4, block_size = 16}
			%b = com.microsoft::MatMulNBits-1(%x, %w, %wide) {K = 16, N = 2, bits = 4, block_size = 16}
			%y = Add-14(%a, %b) output %y`)
		s := g.Nodes[0].Inputs[0].Const
		if data := s.Data; later {
			s.Data, s.Later = nil, &graph.Later{Size: int64(len(data)), Write: func(w io.Writer) error {
				_, err := w.Write(data)
				return err
			}}
		}
		left, right := g.Nodes[1], g.Nodes[2]
		if err := StoreScales(g, func(n *graph.Node) bool { return n == left }); err != nil {
			t.Fatal(err)
		}
		got := left.Inputs[2].Const
		if got == nil || right.Inputs[2].Const != nil || len(g.Nodes) != 4 {
			t.Fatalf("later %t: %v and %v of %d nodes", later, got, right.Inputs[2].Const, len(g.Nodes))
		}
		if (got.Later != nil) != later || got.Size() != 8 {
			t.Errorf("later %t: %d bytes, computed later: %t", later, got.Size(), got.Later != nil)
		}
		if err := got.Make(); err != nil {
			t.Fatal(err)
		}
		if x := graph.View[float32](got); got.DType != graph.Float32 || !slices.Equal(x, []float32{0.5, 3}) {
			t.Errorf("later %t: %s %v", later, got.Type(), x)
		}
		if err := StoreScales(g, func(*graph.Node) bool { return true }); err != nil {
			t.Fatal(err)
		}
		if _, err := Infer(g, op.All()); err != nil || len(g.Nodes) != 3 {
			t.Errorf("later %t: %d nodes, error %v", later, len(g.Nodes), err)
		}
	}
}
