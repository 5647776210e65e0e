package tests

import (
	"context"
	"errors"
	"strings"
	"testing"

	"mnnconv"
	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/runtime"
)

// TestOverflow runs a vision tower whose numbers are too large for float16, as those of
// the published models are, over an export in float16: it is found, and the node is
// named, and the answers are the reference's once vision computes in another type.
func TestOverflow(t *testing.T) {
	dir := overflowing(t)
	all := Conversations(t)
	for _, c := range []struct {
		types, place string
		found        string
	}{
		{"", "", "vision.blocks.1.mlp.mul"},
		{"", "vision=sim:0", "vision.blocks.1.mlp.mul"},
		{"vision=fp32", "", ""},
		{"vision=bf16", "", ""},
		{"vision.blocks.1.mlp=fp32", "vision=sim:0,llm=sim:1", ""},
	} {
		t.Run(c.types+" "+c.place, func(t *testing.T) {
			o := options(c.place)
			o.Check = "values"
			if c.types != "" {
				var err error
				if o.Load.Types, err = passes.ParseTypes(c.types); err != nil {
					t.Fatal(err)
				}
			}
			s := chat(t, dir, o)
			for _, q := range all {
				if len(q.Files) == 0 {
					continue
				}
				a, err := s.Ask(context.Background(), q.Asking(t), greedy)
				switch {
				case c.found == "" && err != nil:
					t.Fatalf("%s: %v", q.Name, err)
				case c.found == "" && a.Text != q.Text:
					t.Errorf("%s: %q, want %q", q.Name, a.Text, q.Text)
				case c.found != "" && (!errors.Is(err, runtime.ErrValues) || !strings.Contains(err.Error(), c.found)):
					t.Errorf("%s: %v", q.Name, err)
				}
			}
		})
	}
}

// overflowing writes a package of the small model's export in float16, in which an MLP
// of the vision tower multiplies by a factor what it divides by it later.
func overflowing(t *testing.T) string {
	t.Helper()
	return changed(t, Export(t, "tjs-fp16"), options(""), func(s *mnnconv.Source) {
		for _, n := range s.Phases[0].Graph.Nodes {
			switch n.Path {
			case "vision.blocks.1.mlp.up":
				scaled(t, n, 1, factor)
				scaled(t, n, 2, factor)
			case "vision.blocks.1.mlp.down":
				scaled(t, n, 1, 1/factor)
			}
		}
	})
}

// factor takes the sums of block 1 beyond 65504.
const factor = float32(1 << 12)

// scaled multiplies constant input i of a node.
func scaled(t *testing.T, n *graph.Node, i int, by float32) {
	t.Helper()
	v := n.Inputs[i]
	x, err := v.Const.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	y, err := graph.NewTensor(v.Const.DType, v.Const.Shape...)
	if err != nil {
		t.Fatal(err)
	}
	for k := range x {
		x[k] *= by
	}
	if err := y.SetFloat32s(x); err != nil {
		t.Fatal(err)
	}
	v.Const = y
}
