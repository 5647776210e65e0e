package partition

import (
	"slices"

	"mnnconv/graph"
)

// weights says which constants each space holds, and during which phases. A
// constant counts once in a space, however many nodes, partitions and phases read
// it there.
type weights struct {
	held    map[graph.Space]map[any]*heldWeight
	largest map[graph.Space]int64 // bytes of the largest one
}

type heldWeight struct {
	bytes  int64
	always bool           // some reader keeps it
	phases map[*Plan]bool // of readers that release it after their phase
}

func newWeights(plans []*Plan, policy Policy) *weights {
	w := &weights{held: map[graph.Space]map[any]*heldWeight{}, largest: map[graph.Space]int64{}}
	for _, p := range plans {
		for _, part := range p.Partitions() {
			held := w.held[part.Space]
			if held == nil {
				held = map[any]*heldWeight{}
				w.held[part.Space] = held
			}
			released := policy[part.Space].Releases(part)
			for _, n := range part.Nodes {
				eachConst(n, func(t *graph.Tensor) {
					h := held[t.DataKey()]
					if h == nil {
						h = &heldWeight{bytes: t.Size(), phases: map[*Plan]bool{}}
						held[t.DataKey()] = h
					}
					h.always = h.always || !released
					h.phases[p] = true
					w.largest[part.Space] = max(w.largest[part.Space], h.bytes)
				})
			}
		}
	}
	return w
}

// of adds up what a space holds while a phase runs.
func (w *weights) of(space graph.Space, p *Plan) int64 {
	sum := int64(0)
	for _, h := range w.held[space] {
		if h.always || h.phases[p] {
			sum += h.bytes
		}
	}
	return sum
}

// eachConst calls f for every constant that a node reads, in its bodies too.
func eachConst(n *graph.Node, f func(*graph.Tensor)) {
	n.Reads(func(v *graph.Value) {
		if v.Const != nil {
			f(v.Const)
		}
	})
	for _, b := range n.Bodies {
		for _, m := range b.Graph.Nodes {
			eachConst(m, f)
		}
	}
}

// Releases reports whether a partition's weights go when its phase has run: the
// policy keeps no constants, or names every stage that the partition has nodes of.
func (s SpacePolicy) Releases(p *Partition) bool {
	if len(s.Keep) > 0 && !slices.Contains(s.Keep, KeepConstants) {
		return true
	}
	named := false
	for _, n := range p.Nodes {
		stage := stageOf(n)
		if stage == "" {
			continue
		}
		if !slices.Contains(s.Release, stage) {
			return false
		}
		named = true
	}
	return named
}

// ConstantBytes returns the bytes of a partition's constants, each once, that its
// device allocates: none where it reads them in their mapped file.
func (p *Plan) ConstantBytes(part *Partition) int64 {
	for _, t := range p.targets {
		if t.Profile.Name == part.Target && t.Profile.Mapped {
			return 0
		}
	}
	seen, sum := map[any]bool{}, int64(0)
	for _, n := range part.Nodes {
		eachConst(n, func(t *graph.Tensor) {
			if id := t.DataKey(); !seen[id] {
				seen[id] = true
				sum += int64(len(t.Data))
			}
		})
	}
	return sum
}
