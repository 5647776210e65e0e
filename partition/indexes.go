package partition

import (
	"fmt"

	"mnnconv/graph"
)

// indexed says which input of an operator holds indexes into an axis of its input 0.
// GatherND's and ScatterND's, whose last axis has an index for each of several axes,
// are checked by their kernels alone.
var indexed = map[string]int{"Gather": 1, "GatherElements": 1, "ScatterElements": 1}

// throughViews are operators whose result has the values of their input 0.
var throughViews = map[string]bool{"Cast": true, "Flatten": true, "Identity": true, "Reshape": true, "Squeeze": true, "Unsqueeze": true}

// indexRelations are the ranges of a value whose elements are indexes to its readers,
// directly or behind views. A negative index counts from the end.
func indexRelations(phase string, root, v *graph.Value, uses map[*graph.Value][]graph.Use) []Relation {
	if !v.Type.DType.IsInt() {
		return nil
	}
	var out []Relation
	for _, u := range uses[v] {
		n := u.Node
		switch {
		case n == nil || n.Domain != "":
			continue
		case throughViews[n.Op] && u.Index == 0:
			out = append(out, indexRelations(phase, root, n.Outputs[0], uses)...)
			continue
		case indexed[n.Op] == 0 || u.Index != indexed[n.Op]:
			continue
		}
		data := n.Inputs[0].Type.Shape
		axis := n.Int("axis", 0)
		if axis < 0 {
			axis += int64(len(data))
		}
		if axis < 0 || axis >= int64(len(data)) {
			continue
		}
		out = append(out, Relation{Phase: phase, Value: root.Name, Kind: Bounded, Low: data[axis].Mul(graph.Const(-1)), High: data[axis],
			Text: fmt.Sprintf("indexes into %s of %q", data[axis], n.Inputs[0].Name), Source: n.ID()})
	}
	return out
}
