package onnx

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"mnnconv/graph"
)

// differ returns what is different between two graphs, or "".
func differ(a, b *graph.Graph) string {
	if a.Name != b.Name || a.Doc != b.Doc || !maps.Equal(a.Meta, b.Meta) {
		return fmt.Sprintf("graph %q %q %v, and %q %q %v", a.Name, a.Doc, a.Meta, b.Name, b.Doc, b.Meta)
	}
	for _, l := range [][2][]*graph.Value{{a.Inputs, b.Inputs}, {a.Captures, b.Captures}, {a.Outputs, b.Outputs}} {
		if s := differValues(l[0], l[1]); s != "" {
			return "graph " + a.Name + ": " + s
		}
	}
	if len(a.Nodes) != len(b.Nodes) {
		return fmt.Sprintf("%d nodes and %d", len(a.Nodes), len(b.Nodes))
	}
	for i, n := range a.Nodes {
		if s := differNodes(n, b.Nodes[i]); s != "" {
			return n.ID() + ": " + s
		}
	}
	return ""
}

func differNodes(a, b *graph.Node) string {
	head := func(n *graph.Node) string {
		return fmt.Sprint(n.Name, n.Path, n.Domain, n.Op, n.Version, n.Target, n.Cause, n.Meta)
	}
	if head(a) != head(b) {
		return fmt.Sprintf("%s, and %s", head(a), head(b))
	}
	for _, l := range [][2][]*graph.Value{{a.Inputs, b.Inputs}, {a.Outputs, b.Outputs}} {
		if s := differValues(l[0], l[1]); s != "" {
			return s
		}
	}
	if len(a.Attrs) != len(b.Attrs) || len(a.Bodies) != len(b.Bodies) {
		return fmt.Sprintf("attributes %v, and %v", a.Attrs, b.Attrs)
	}
	for i, x := range a.Attrs {
		if s := differAttrs(x, b.Attrs[i]); s != "" {
			return "attribute " + x.Name + ": " + s
		}
	}
	for i, x := range a.Bodies {
		y := b.Bodies[i]
		if x.Attr != y.Attr {
			return fmt.Sprintf("body %q, and %q", x.Attr, y.Attr)
		}
		if s := differ(x.Graph, y.Graph); s != "" {
			return x.Attr + ": " + s
		}
		if s := differValues(x.Outer, y.Outer); s != "" {
			return x.Attr + ", outer: " + s
		}
	}
	return ""
}

func differAttrs(a, b graph.Attr) string {
	switch x := a.Value.(type) {
	case *graph.Tensor:
		y, ok := b.Value.(*graph.Tensor)
		if ok && a.Name == b.Name {
			return differTensors(x, y)
		}
	case []*graph.Tensor:
		y, ok := b.Value.([]*graph.Tensor)
		if ok && a.Name == b.Name && len(x) == len(y) {
			for i := range x {
				if s := differTensors(x[i], y[i]); s != "" {
					return s
				}
			}
			return ""
		}
	default:
		if fmt.Sprintf("%s %T %v", a.Name, a.Value, a.Value) == fmt.Sprintf("%s %T %v", b.Name, b.Value, b.Value) {
			return ""
		}
	}
	return fmt.Sprintf("%v, and %v", a, b)
}

func differValues(a, b []*graph.Value) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d values, and %d", len(a), len(b))
	}
	show := func(v *graph.Value) string {
		if v == nil {
			return "absent"
		}
		return fmt.Sprintf("%q %s from %q, hints %q", v.Name, v.Type, v.From, v.Hints)
	}
	for i := range a {
		if show(a[i]) != show(b[i]) {
			return fmt.Sprintf("value %d: %s, and %s", i, show(a[i]), show(b[i]))
		}
		if a[i] != nil && (a[i].Const != nil || b[i].Const != nil) {
			if s := differTensors(a[i].Const, b[i].Const); s != "" {
				return fmt.Sprintf("constant %q: %s", a[i].Name, s)
			}
		}
	}
	return ""
}

func differTensors(a, b *graph.Tensor) string {
	switch {
	case a == nil || b == nil:
		return fmt.Sprintf("%v, and %v", a, b)
	case a.Kind != b.Kind || a.DType != b.DType || !slices.Equal(a.Shape, b.Shape):
		return fmt.Sprintf("%v %s%v, and %v %s%v", a.Kind, a.DType, a.Shape, b.Kind, b.DType, b.Shape)
	case !bytes.Equal(a.Data, b.Data) || !slices.Equal(a.Strings, b.Strings):
		return "data differs"
	case len(a.Elems) != len(b.Elems):
		return fmt.Sprintf("%d elements, and %d", len(a.Elems), len(b.Elems))
	}
	for i := range a.Elems {
		if s := differTensors(a.Elems[i], b.Elems[i]); s != "" {
			return fmt.Sprintf("element %d: %s", i, s)
		}
	}
	return ""
}
