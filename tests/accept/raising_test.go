//go:build accept

package accept

import (
	"fmt"
	"testing"

	"mnnconv/graph"
	"mnnconv/models"
	"mnnconv/models/qwen25vl"
	"mnnconv/passes"
	"mnnconv/schemas/op"
	"mnnconv/tests"
)

// TestAcceptRaising counts what every export of the random model is raised to: four
// blocks of vision, three layers of language.
func TestAcceptRaising(t *testing.T) {
	for _, v := range append(variants, variant{name: "torchscript-fixedgrid"}) {
		t.Run(v.name, func(t *testing.T) {
			m, err := qwen25vl.Load(shared("exports", v.name), models.Options{Table: op.All()})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			for _, ph := range m.Phases() {
				want := "4 attentions, 9 norms, 8 rotations, 4 gates, 0 states, 0 left"
				if ph.Name == "extend" {
					want = "3 attentions, 7 norms, 6 rotations, 3 gates, 6 states, 0 left"
				}
				left := passes.Leftovers(ph.Graph)
				got := fmt.Sprintf("%d attentions, %d norms, %d rotations, %d gates, %d states, %d left", count(ph.Graph, "Attention")+count(ph.Graph, "mnnconv.SegmentedAttention"),
					count(ph.Graph, "RMSNormalization"), count(ph.Graph, "RotaryEmbedding"), count(ph.Graph, "Swish"), len(ph.Graph.States), len(left))
				tests.Row(t, got == want, fmt.Sprintf("raising, %s, %s", v.name, ph.Name), want, "%s", got)
				if len(left) > 0 {
					t.Log(left[:min(5, len(left))], ph.Report.Notes)
				}
			}
		})
	}
}

func count(g *graph.Graph, name string) int {
	n := 0
	for _, x := range g.Nodes {
		if x.OpName() == name {
			n++
		}
	}
	return n
}
