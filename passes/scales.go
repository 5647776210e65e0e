package passes

import (
	"fmt"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// StoreScales has products of codes that on reports read scales behind a Cast as
// constants of the type that the Cast makes: kernels of GPUs take no others. The numbers
// are the same. The graph may be placed.
func StoreScales(g *graph.Graph, on func(*graph.Node) bool) error {
	r := &retyper{c: &context{g: g}, consts: map[constKey]*graph.Tensor{}}
	stored := map[*graph.Value]*graph.Value{}
	for _, n := range g.Nodes {
		s := n.In(2)
		if n.Domain != op.Microsoft || n.Op != "MatMulNBits" || s == nil || s.Def == nil || !s.Def.Is("Cast") || s.Def.Inputs[0].Const == nil || !on(n) {
			continue
		}
		if stored[s] == nil {
			w := s.Def.Inputs[0]
			t, err := r.constant(w, s.Type.DType)
			if err != nil {
				return fmt.Errorf("%s: %w", n.ID(), err)
			}
			stored[s] = g.NewConst(r.c.name(w.Name+"."+t.DType.String()), t)
			stored[s].From = w.From
		}
		n.Inputs[2] = stored[s]
	}
	if len(stored) == 0 {
		return nil
	}
	g.RemoveDead()
	return graph.Verify(g)
}
