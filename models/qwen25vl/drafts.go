package qwen25vl

import (
	"fmt"
	"math"
	"slices"

	"mnnconv/graph"
	"mnnconv/models/generate"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// maxDraft bounds a draft: a row's bits do not depend on how many rows travel with
// it up to 16, and drafts may not change an answer.
const maxDraft = 15

// draft lets the graph compute the logits of the last n+1 tokens, or of all if they
// are fewer: then one run checks n drafted tokens. In a package the selection that
// is there takes their number.
func (x *extend) draft(n int, table op.Table) error {
	if n < 0 || n > maxDraft {
		return fmt.Errorf("%w: drafts of %d tokens, at most %d can be checked at once", generate.ErrOption, n, maxDraft)
	}
	at := slices.IndexFunc(x.graph.Nodes, func(n *graph.Node) bool {
		return n.Is("Gather") && n.In(1) != nil && n.Inputs[1].Const != nil && n.Inputs[1].Name == logitsAt
	})
	if n == 0 || at < 0 {
		return nil
	}
	g, node := x.graph, x.graph.Nodes[at]
	k := func(name string, v int64) *graph.Value { return g.NewConst(logitsAt+"."+name, graph.Ints([]int64{v})) }
	node.Op, node.Version, node.Attrs = "Slice", passes.Opset, nil
	node.Inputs = []*graph.Value{node.Inputs[0], k("first", -int64(n)-1), k("end", math.MaxInt64), k("axis", 1)}
	g.RemoveDead()
	if err := passes.InferPlaced(g, table); err != nil {
		return err
	}
	x.drafts = n
	return nil
}

// drafted returns what may follow history, as many tokens as the graph checks, or
// nothing: also where the context has no room for them, or where they would stand
// for pictures.
func (s *Session) drafted(history []int32) []int32 {
	n := s.m.extend.drafts
	s.draft = s.draft[:0]
	if n == 0 || len(history)+n > s.capacity {
		return s.draft
	}
	s.draft = generate.Lookup(s.draft, history, n)
	if slices.Contains(s.draft, s.m.Config.ImageToken) || slices.Contains(s.draft, s.m.Config.VideoToken) {
		s.draft = s.draft[:0]
	}
	return s.draft
}
