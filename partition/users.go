package partition

import (
	"cmp"
	"slices"

	"mnnconv/graph"
)

// User is what takes memory of a space: the weights of a stage or layer, the state, or
// what a phase lays out for values.
type User struct {
	Name  string
	Bytes int64
}

// Users lists what takes a space's memory, the largest first. A weight counts where it
// is read first.
func (s *SpaceBudget) Users(plans []*Plan) []User {
	out := holders(plans, s.Space, func(*graph.Node) bool { return true })
	for i := range out {
		out[i].Name = "weights of " + out[i].Name
	}
	for _, p := range s.Phases {
		out = append(out, User{"values of phase " + p.Phase, p.Scratch + p.Crossing})
	}
	if len(s.Phases) > 0 {
		out = append(out, User{"state", s.Phases[0].State})
	}
	out = slices.DeleteFunc(out, func(u User) bool { return u.Bytes == 0 })
	slices.SortStableFunc(out, func(a, b User) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return out
}

// UnitsOn lists the stages and layers that have nodes in a space, as canonical paths, in
// the order of the plans, with the bytes of the weights that each is the first to read.
func UnitsOn(plans []*Plan, space graph.Space) []User {
	return holders(plans, space, func(n *graph.Node) bool { return n.Path != "" })
}

// holders lists the units of those nodes in a space that are counted, and their weights.
func holders(plans []*Plan, space graph.Space, counted func(*graph.Node) bool) []User {
	var out []User
	at := map[string]int{}
	seen := map[any]bool{}
	nodesOn(plans, space, func(unit string, n *graph.Node) {
		if !counted(n) {
			return
		}
		if _, ok := at[unit]; !ok {
			at[unit] = len(out)
			out = append(out, User{Name: unit})
		}
		eachConst(n, func(t *graph.Tensor) {
			if id := t.DataKey(); !seen[id] {
				seen[id] = true
				out[at[unit]].Bytes += t.Size()
			}
		})
	})
	return out
}

// nodesOn calls f for every node in a space, with its stage or layer, or its own name
// where it has no path.
func nodesOn(plans []*Plan, space graph.Space, f func(unit string, n *graph.Node)) {
	eachNode(plans, func(_ *Plan, part *Partition, n *graph.Node) {
		if part.Space != space {
			return
		}
		unit := unitOf(n.Path)
		if n.Path == "" {
			unit = n.Label()
		}
		f(unit, n)
	})
}

// eachNode calls f for every node that runs in a partition, in the order of the plans.
func eachNode(plans []*Plan, f func(p *Plan, part *Partition, n *graph.Node)) {
	for _, p := range plans {
		for _, part := range p.Partitions() {
			for _, n := range part.Nodes {
				f(p, part, n)
			}
		}
	}
}

// Stages lists the stages of plans, in their order.
func Stages(plans []*Plan) []string {
	var out []string
	for _, p := range plans {
		for _, n := range p.Graph.Nodes {
			if stage := stageOf(n); stage != "" && !slices.Contains(out, stage) {
				out = append(out, stage)
			}
		}
	}
	return out
}
