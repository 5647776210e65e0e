package qwen25vl

import (
	"errors"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
)

// TestRanked opens extend graphs of packages: those of versions that put out all
// logits alone, and such as were tampered with.
func TestRanked(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*graph.Graph)
		ranks  int
		err    error
	}{
		{"as it is raised", func(*graph.Graph) {}, 64, nil},
		{"without the highest", func(g *graph.Graph) { g.Outputs = g.Outputs[:len(g.Outputs)-2] }, 0, nil},
		{"without their tokens", func(g *graph.Graph) { g.Outputs = g.Outputs[:len(g.Outputs)-1] }, 0, ErrPackage},
		{"tokens alone", func(g *graph.Graph) { g.Outputs = slices.Delete(g.Outputs, len(g.Outputs)-2, len(g.Outputs)-1) }, 0, ErrPackage},
		{"of another type", func(g *graph.Graph) { g.Outputs[len(g.Outputs)-1].Type.DType = graph.Int32 }, 0, ErrPackage},
		{"of another extent", func(g *graph.Graph) {
			g.Outputs[len(g.Outputs)-1].Type.Shape = graph.ShapeOf(1, 1, 63)
		}, 0, ErrPackage},
		{"of a rank", func(g *graph.Graph) {
			for _, v := range g.Outputs[len(g.Outputs)-2:] {
				v.Type.Shape = graph.ShapeOf(1, 64)
			}
		}, 0, ErrPackage},
	} {
		m := load(t, small(t, change{}), models.Options{})
		g := m.extend.graph
		c.change(g)
		x, err := openExtend(g, map[string]int64{settingWidth: 8})
		if !errors.Is(err, c.err) || err == nil && x.ranks != c.ranks {
			t.Errorf("%s: %+v, error %v, want %d ranks, error %v", c.name, x, err, c.ranks, c.err)
		}
	}
}
