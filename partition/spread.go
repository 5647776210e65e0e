package partition

import (
	"slices"

	"mnnconv/graph"
)

// Spread is a matrix or table of weights that several spaces hold: nodes of more than
// one device read it, such as an embedding and the head that is tied to it.
type Spread struct {
	Weight  string         `json:"weight"`
	Bytes   int64          `json:"bytes"`  // in each of the spaces
	Spaces  []graph.Space  `json:"spaces"` // in the order of their first readers
	Readers []SpreadReader `json:"readers"`
}

// SpreadReader is a node that reads a weight, and where.
type SpreadReader struct {
	Phase string      `json:"phase"`
	Node  string      `json:"node"`
	Space graph.Space `json:"space"`
}

// SpreadWeights lists the weights of plans that more than one space holds, in the order
// of their first readers. Vectors and single numbers are left out.
func SpreadWeights(plans []*Plan) []Spread {
	var order []*Spread
	of := map[any]*Spread{}
	eachNode(plans, func(p *Plan, part *Partition, n *graph.Node) {
		n.Reads(func(v *graph.Value) {
			if v.Const == nil || len(v.Const.Shape) < 2 {
				return
			}
			s := of[v.Const.DataKey()]
			if s == nil {
				s = &Spread{Weight: v.Name, Bytes: v.Const.Size()}
				of[v.Const.DataKey()], order = s, append(order, s)
			}
			if !slices.Contains(s.Spaces, part.Space) {
				s.Spaces = append(s.Spaces, part.Space)
			}
			s.Readers = append(s.Readers, SpreadReader{p.Phase, n.Label(), part.Space})
		})
	})
	out := []Spread{}
	for _, s := range order {
		if len(s.Spaces) > 1 {
			out = append(out, *s)
		}
	}
	return out
}
