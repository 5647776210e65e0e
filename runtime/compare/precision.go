package compare

import (
	"mnnconv/graph"
	"mnnconv/partition"
)

// precisions says, by the names of values, to which dtype the floats that a value is
// computed of were rounded on the way, the coarsest one: a Cast to a wider type brings no
// digits back. Values that are given, constants, and what is only moved or converted from
// them are exact; they are not in it.
type precisions map[string]graph.DType

// precisionsOf are those of what nodes make of values that are exact.
func precisionsOf(nodes []*graph.Node) precisions {
	p := precisions{}
	p.follow(nodes)
	return p
}

// follow adds what nodes make, in order, of what is known.
func (p precisions) follow(nodes []*graph.Node) {
	for _, n := range nodes {
		d := p.read(n)
		for _, v := range n.Outputs {
			if v == nil || !v.Type.DType.IsFloat() {
				continue
			}
			if made := p.made(n, v, d); made != graph.Undefined {
				p[v.Name] = made
			}
		}
	}
}

// read returns the coarsest precision among the floats that a node reads, and those that
// its bodies make: what one iteration makes another reads.
func (p precisions) read(n *graph.Node) graph.DType {
	d := graph.Undefined
	n.Reads(func(v *graph.Value) {
		if v.Const == nil && v.Type.DType.IsFloat() {
			d = coarser(d, p[v.Name])
		}
	})
	for _, b := range n.Bodies {
		inner := precisionsOf(b.Graph.Nodes)
		for _, v := range b.Graph.Outputs {
			d = coarser(d, inner[v.Name])
		}
	}
	return d
}

// made returns the precision of a value that a node makes of floats of precision d.
func (p precisions) made(n *graph.Node, v *graph.Value, d graph.DType) graph.DType {
	if len(n.Bodies) > 0 || moves(n) || n.Is("Cast") && d == graph.Undefined {
		return d
	}
	return coarser(d, v.Type.DType)
}

// of returns the precision of a value: that of its own dtype, or a coarser one.
func (p precisions) of(v *graph.Value) graph.DType {
	d := v.Type.DType
	if !d.IsFloat() {
		return d
	}
	return coarser(d, p[partition.Source(v).Name])
}

// coarser returns the dtype of two, either of which may be undefined, that tolerates more.
func coarser(a, b graph.DType) graph.DType {
	if a == graph.Undefined || b != graph.Undefined && partition.ToleranceOf(b).Relative > partition.ToleranceOf(a).Relative {
		return b
	}
	return a
}

// moves reports operators whose results are elements of their inputs as they were.
func moves(n *graph.Node) bool {
	if n.Domain != "" {
		return false
	}
	switch n.Op {
	case "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Gather", "GatherElements", "GatherND",
		"Concat", "Expand", "Tile", "Where", "Pad", "TensorScatter", "DepthToSpace", "SpaceToDepth", "ConstantOfShape":
		return true
	}
	return false
}
