package gpu

import (
	"slices"

	"mnnconv/graph"
)

// place is kernels/rope.cl's Place.
type place struct{ Type, Capacity, Round int32 }

// overState is attention over a state with all that brings a step to it: queries are
// turned, keys are turned into the cache of keys, and values go into theirs. All before
// attention is one launch.
type overState struct {
	q, k  rope
	parts []Group // what is covered, in order
}

// The parts.
const (
	turnQueries = iota
	turnKeys
	scatterKeys
	scatterValues
	attendState
)

// lowerOverState covers that with caches [batch, heads, rows, size], both written from one
// row on.
func lowerOverState(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	attention, ok := lowerAttention(n, uses)
	if !ok || attention.Nodes[0].In(0) == nil {
		return Group{}, false
	}
	a := attention.Nodes[slices.IndexFunc(attention.Nodes, func(m *graph.Node) bool { return m.Is("Attention") })]
	q, keys, values := attention.In[0].Def, a.Inputs[1].Def, a.Inputs[2].Def
	if q == nil || keys == nil || values == nil || keys == values || attention.In[0] != a.Inputs[0] || len(uses[a.Inputs[0]]) != 1 {
		return Group{}, false
	}
	k := keys.In(1)
	if k == nil || k.Def == nil || len(uses[k]) != 1 {
		return Group{}, false
	}
	s := &overState{parts: make([]Group, attendState+1)}
	var found [4]bool
	s.q, s.parts[turnQueries], found[0] = ropeOf(q, uses)
	s.k, s.parts[turnKeys], found[1] = ropeOf(k.Def, uses)
	s.parts[scatterKeys], found[2] = lowerTensorScatter(keys, uses)
	s.parts[scatterValues], found[3] = lowerTensorScatter(values, uses)
	s.parts[attendState] = attention
	if found != [4]bool{true, true, true, true} || !s.alike(keys, values) {
		return Group{}, false
	}
	g, ok := fused(s.parts)
	if !ok || g.Layout != nil || g.Host != nil {
		return Group{}, false
	}
	states := []*graph.Value{keys.Inputs[0], values.Inputs[0]}
	written := []*graph.Value{keys.Outputs[0], values.Outputs[0]}
	g.In = append(states, slices.DeleteFunc(g.In, func(v *graph.Value) bool { return slices.Contains(states, v) })...)
	g.Out = append(written, attention.Out...)
	g.Work = slices.DeleteFunc(g.Work, func(v *graph.Value) bool { return slices.Contains(written, v) || v == k })
	g.InPlace = len(states)
	g.Record = func(r *Recorder) error { return s.record(r, &g) }
	return g, true
}

// alike reports whether both turn by the same angles, of one type with what they turn and
// where it goes, and both caches are written alike.
func (s *overState) alike(keys, values *graph.Node) bool {
	q, k := s.parts[turnQueries].In, s.parts[turnKeys].In
	same := len(q) == len(k)
	for i := 1; same && i < len(q); i++ {
		same = q[i] == k[i]
	}
	for _, m := range []*graph.Node{keys, values} {
		rank := len(m.Inputs[0].Type.Shape)
		axis, ok := axisOf(m.Int("axis", -2), rank)
		same = same && ok && rank == 4 && axis == 2
	}
	return same && keys.In(2) == values.In(2) && keys.Str("mode", "linear") == values.Str("mode", "linear") &&
		areFloats(q[0], k[0], keys.Inputs[0], values.Inputs[0], values.Inputs[1])
}

func (s *overState) record(r *Recorder, g *Group) error {
	var sub [attendState + 1]*Recorder
	for i := range sub {
		sub[i] = r.part(g, &s.parts[i])
	}
	keys, values, q := sub[scatterKeys], sub[scatterValues], sub[turnQueries]
	for _, p := range []*Recorder{keys, values} {
		if p.Out[0].memory != p.In[0].memory || p.Out[0].offset != p.In[0].offset {
			if err := r.copy(p.Out[0], p.In[0]); err != nil {
				return err
			}
		}
	}
	queries, ok1 := headsOf(q.Out[0], s.q.count, false)
	cache, ok2 := headsOf(keys.Out[0], 0, false)
	held, ok3 := headsOf(values.Out[0], 0, false)
	swapped := slices.ContainsFunc(s.parts[scatterValues].Nodes, swapsHeads)
	from, ok4 := headsOf(values.In[1], 0, swapped)
	capacity, at := cache.rows, keys.Optional(2)
	cache.rows = queries.rows
	tq, nq, ok5 := s.q.turns(q, queries)
	tk, nk, ok6 := s.k.turns(sub[turnKeys], cache)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || held.rows != capacity || from.rows != cache.rows || cache.rows > capacity ||
		from.batch != held.batch || from.heads != held.heads || from.size != held.size || at != nil && at.Len() != cache.batch {
		return r.mismatch(append(slices.Clone(r.In), r.Out...)...)
	}
	where := place{Type: int32(typeOf(at)), Capacity: int32(capacity), Round: flag(s.parts[scatterKeys].Nodes[len(s.parts[scatterKeys].Nodes)-1].Str("mode", "linear") == "circular")}
	nv := values.In[1].Len()
	err := r.Launch("rope", "into_state", over(nq+nk+nv), wide, q.In[0], sub[turnKeys].In[0], values.In[1], typeOf(q.In[0]), q.In[1], q.In[2], typeOf(q.In[1]),
		q.Optional(3), typeOf(q.Optional(3)), at, where, q.Out[0], keys.Out[0], values.Out[0], nq, nk, nv, tq, tk, newTurns(from, held), bytesOf(values.Out[0].DType))
	if err != nil {
		return err
	}
	if err := s.parts[attendState].Record(sub[attendState]); err != nil {
		return err
	}
	r.join(sub[attendState])
	return nil
}
