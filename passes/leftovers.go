package passes

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// raisable are the operators of exporters' dialects that raising takes the place of,
// and those that only decomposed attention, norms, rotations and gates are made of.
var raisable = map[string][]string{
	"": {"Loop", "If", "Scan", "SequenceEmpty", "SequenceInsert", "ConcatFromSequence", "Softmax", "SimplifiedLayerNormalization",
		"ReduceMean", "Pow", "Sqrt", "Reciprocal", "Neg", "Sigmoid", "Erf"},
	op.Microsoft: {"GroupQueryAttention", "MultiHeadAttention", "MRotaryEmbedding", "RotaryEmbedding", "SimplifiedLayerNormalization",
		"SkipSimplifiedLayerNormalization", "SkipLayerNormalization", "Gelu", "FastGelu", "QuickGelu"},
	op.LlmExporter: {"FusedAttention", "FusedRoPE"},
}

// Leftovers names the nodes of a raised graph that are not canonical: operators of an
// exporter's dialect, and attention under a dense mask.
func Leftovers(g *graph.Graph) []string {
	var out []string
	for _, n := range g.Nodes {
		switch {
		case slices.Contains(raisable[n.Domain], n.Op):
			out = append(out, fmt.Sprintf("%s is %s", n.ID(), n.OpName()))
		case n.Is("Attention") && n.In(3) != nil:
			out = append(out, fmt.Sprintf("%s has a dense mask", n.ID()))
		}
	}
	return out
}
