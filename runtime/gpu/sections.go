package gpu

import (
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// maxSections is how many kernels/move.cl's Sections has.
const maxSections = 8

// sections is kernels/move.cl's Sections.
type sections struct {
	Count      int32
	End, Index [maxSections]int32
}

// lowerSections covers M-RoPE's choice of angles: a Split of x along its last axis, a
// Gather of one place of the first axis from each part, and the Concat of these.
func lowerSections(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("Concat") || len(n.Inputs) < 2 || len(n.Inputs) > maxSections || !isMovable(n.Out(0)) {
		return Group{}, false
	}
	last := len(n.Outputs[0].Type.Shape) - 1
	axis, ok := axisOf(n.Int("axis", 0), last+1)
	if !ok || axis != last {
		return Group{}, false
	}
	var split *graph.Node
	var s sections
	var gathers []*graph.Node
	for i, v := range n.Inputs {
		g := v.Def
		if !g.Is("Gather") || len(uses[v]) != 1 || g.Int("axis", 0) != 0 || len(g.Inputs[1].Type.Shape) != 0 {
			return Group{}, false
		}
		part := g.Inputs[0]
		at, known := constants(g.Inputs[1])
		if !known || len(at) != 1 || at[0] != int64(int32(at[0])) || !isMovable(part) || !part.Def.Is("Split") || i > 0 && part.Def != split || len(uses[part]) != 1 {
			return Group{}, false
		}
		split = part.Def
		if len(part.Type.Shape) != last+2 {
			return Group{}, false
		}
		width, fixed := part.Type.Shape[last+1].Int()
		if i >= len(split.Outputs) || split.Outputs[i] != part || !fixed {
			return Group{}, false
		}
		if s.End[i] = int32(width); i > 0 {
			s.End[i] += s.End[i-1]
		}
		s.Index[i] = int32(at[0])
		s.Count++
		gathers = append(gathers, g)
	}
	x := split.In(0)
	if !isMovable(x) || len(x.Type.Shape) != last+2 || len(split.Outputs) != len(n.Inputs) {
		return Group{}, false
	}
	if axis, ok := axisOf(split.Int("axis", 0), last+2); !ok || axis != last+1 {
		return Group{}, false
	}
	g := Group{Name: "Split+Gather+Concat", Nodes: slices.Concat([]*graph.Node{split}, gathers, []*graph.Node{n}), In: []*graph.Value{x}, Out: n.Outputs}
	g.Record = func(r *Recorder) error {
		x, y, at := r.In[0], r.Out[0], s
		if y.Len() == 0 {
			return nil
		}
		for i := range s.Count {
			if at.Index[i] < 0 {
				at.Index[i] += int32(x.At(0))
			}
			if at.Index[i] < 0 || int(at.Index[i]) >= x.At(0) {
				return r.errorf("%w: place %d of %d", op.ErrInput, s.Index[i], x.At(0))
			}
		}
		if x.Len() != y.Len()*x.At(0) || int(s.End[s.Count-1]) != x.At(-1) {
			return r.mismatch(x, y)
		}
		return r.Launch("move", "sections", over(y.Len()), wide, x, y, y.Len(), x.At(-1), bytesOf(y.DType), at)
	}
	return g, true
}
