package pack

import (
	"slices"

	"mnnconv/graph"
)

// In a plan an output that is copied to the host is the copy, and the value it
// was made from has the output's name. In the file it is the other way about, so
// that a graph's outputs are called the same however it is cut.

// keepOutputNames swaps the names for the file, of an output that is listed twice
// once.
func keepOutputNames(g *graph.Graph) {
	for i, v := range g.Outputs {
		if from := copied(v); from != nil && !slices.Contains(g.Outputs[:i], v) {
			v.Name, from.Name = from.Name, from.Name+deviceMark+string(from.Type.Space)
		}
	}
}

// restoreOutputNames swaps them back.
func restoreOutputNames(g *graph.Graph) {
	for _, v := range g.Outputs {
		if from := copied(v); from != nil && from.Name == v.Name+deviceMark+string(from.Type.Space) {
			v.Name, from.Name = v.Name+deviceMark+string(v.Type.Space), v.Name
		}
	}
}

// deviceMark stands between the name of a value and its space.
const deviceMark = "@"

// copied is what a graph output was copied from; nil: it is no copy.
func copied(v *graph.Value) *graph.Value {
	if !v.Def.IsCopy() || len(v.Def.Inputs) != 1 {
		return nil
	}
	return v.Def.Inputs[0]
}
