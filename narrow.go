package mnnconv

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/passes"
)

// lookNarrow finds the stages that compute in float16 and may go beyond it, for
// Source.Narrow. Where Options.Load.Types name nodes of a stage, they are as they were
// wished.
func (s *Source) lookNarrow(o Options) error {
	for _, stage := range s.Info.Overflows {
		match, err := graph.ParsePattern(stage)
		if err != nil {
			return err
		}
		for _, ph := range s.Phases {
			nodes := slices.DeleteFunc(slices.Clone(ph.Graph.Nodes), func(n *graph.Node) bool { return !match(n) })
			if passes.TypeOf(nodes) == graph.Float16 && !slices.ContainsFunc(nodes, o.Load.Types.Match) {
				s.Narrow = append(s.Narrow, fmt.Sprintf("%s computes in float16, as it was exported, which ends at 65504; published models may go beyond that there. --check values tells; --dtype %s=fp32 or %s=bf16 holds it",
					stage, stage, stage))
			}
		}
	}
	return nil
}
