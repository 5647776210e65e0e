package partition

import (
	"testing"

	"mnnconv/graph"
)

// TestSized: what a node makes has a size before it runs if its extents follow from
// the graph's inputs or its own.
func TestSized(t *testing.T) {
	g, err := graph.ParseText(`graph "test" {
  input %x: float32[n, 4]
  input %i: int64[2]
  input %k: float32[m]
  %a: float32[n, 4] = Relu-14(%x)
  %b: float32[rows, 4] = Gather-13(%x, %i)
  %c: float32[rows, 4] = Relu-14(%b)
  %d: float32[m, n] = Expand-13(%k, %i)
  %e: float32[?] = Squeeze-13(%x)
  output %c
  output %d
  output %e
}`)
	if err != nil {
		t.Fatal(err)
	}
	known := sizesOf(g)
	for i, want := range []bool{true, false, true, true, false} {
		if got := known.sized(g.Nodes[i]); got != want {
			t.Errorf("%s: %v, want %v", g.Nodes[i].OpName(), got, want)
		}
	}
}
