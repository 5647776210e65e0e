package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// attribute decodes one AttributeProto into n: a value of Attrs, or a body. A
// reference to an attribute of the function being inlined is replaced by that
// attribute; where the call does not give it, n goes without.
func (d *decoder) attribute(s *scope, n *graph.Node, at span, depth int) error {
	if err := d.one("attributes", &d.attrs, d.o.MaxAttrs, 64); err != nil {
		return err
	}
	a := &pb.AttributeProto{}
	var tensor, body *span
	var tensors []span
	sparse, graphs := false, false
	hold := map[protowire.Number]func(span) error{
		5:  func(s span) error { tensor = &s; return nil },
		6:  func(s span) error { body = &s; return nil },
		10: func(s span) error { tensors = append(tensors, s); return d.take(32) },
		11: func(span) error { graphs = true; return nil },
		22: func(span) error { sparse = true; return nil },
		23: func(span) error { sparse = true; return nil },
	}
	if err := d.message(at, depth, a, hold); err != nil {
		return err
	}
	name := a.GetName()
	if err := d.name(name); err != nil {
		return err
	}
	if name == "" {
		return malformed("byte %d: an attribute has no name", at.at)
	}
	if n.Has(name) || n.Body(name) != nil {
		return malformed("attribute %s is given twice", quote(name))
	}
	if ref := a.GetRefAttrName(); ref != "" {
		if s.call == nil {
			return malformed("attribute %s refers to attribute %s, but is not in a function", quote(name), quote(ref))
		}
		v, declared, err := s.call.attr(ref)
		switch {
		case err != nil:
			return within(err, "attribute %s", quote(name))
		case !declared:
			return malformed("attribute %s refers to attribute %s, which the function does not declare", quote(name), quote(ref))
		case v == nil:
			return nil
		}
		if want := kindOfValue(v); a.GetType() != 0 && a.GetType() != want {
			return malformed("attribute %s is a %s, it refers to %s, which is a %s", quote(name), a.GetType(), quote(ref), want)
		}
		n.Attrs = append(n.Attrs, graph.Attr{Name: name, Value: v})
		return nil
	}
	present := []struct {
		kind pb.AttributeProto_AttributeType
		set  bool
	}{
		{pb.AttributeProto_FLOAT, a.F != nil},
		{pb.AttributeProto_INT, a.I != nil},
		{pb.AttributeProto_STRING, a.S != nil},
		{pb.AttributeProto_TENSOR, tensor != nil},
		{pb.AttributeProto_GRAPH, body != nil},
		{pb.AttributeProto_FLOATS, a.Floats != nil},
		{pb.AttributeProto_INTS, a.Ints != nil},
		{pb.AttributeProto_STRINGS, a.Strings != nil},
		{pb.AttributeProto_TENSORS, tensors != nil},
		{pb.AttributeProto_GRAPHS, graphs},
		{pb.AttributeProto_SPARSE_TENSOR, sparse},
		{pb.AttributeProto_TYPE_PROTO, a.Tp != nil},
		{pb.AttributeProto_TYPE_PROTOS, a.TypeProtos != nil},
	}
	kind := a.GetType()
	for _, p := range present {
		if !p.set {
			continue
		}
		if kind == pb.AttributeProto_UNDEFINED { // files before IR version 2 have no type
			kind = p.kind
		}
		if p.kind != kind && !(p.kind == pb.AttributeProto_SPARSE_TENSOR && kind == pb.AttributeProto_SPARSE_TENSORS) {
			return malformed("attribute %s is a %s, but holds a %s", quote(name), kind, p.kind)
		}
	}
	var value any
	switch kind {
	case pb.AttributeProto_FLOAT:
		value = a.GetF()
	case pb.AttributeProto_INT:
		value = a.GetI()
	case pb.AttributeProto_STRING:
		value = string(a.GetS())
	case pb.AttributeProto_FLOATS:
		value = append([]float32{}, a.GetFloats()...)
	case pb.AttributeProto_INTS:
		value = append([]int64{}, a.GetInts()...)
	case pb.AttributeProto_STRINGS:
		list := make([]string, len(a.GetStrings()))
		for i, b := range a.GetStrings() {
			list[i] = string(b)
		}
		value = list
	case pb.AttributeProto_TENSOR:
		if tensor == nil {
			return malformed("attribute %s is a TENSOR, but holds none", quote(name))
		}
		_, t, err := d.tensor(*tensor)
		if err != nil {
			return within(err, "attribute %s", quote(name))
		}
		value = t
	case pb.AttributeProto_TENSORS:
		list := make([]*graph.Tensor, len(tensors))
		for i, b := range tensors {
			_, t, err := d.tensor(b)
			if err != nil {
				return within(err, "attribute %s", quote(name))
			}
			list[i] = t
		}
		value = list
	case pb.AttributeProto_TYPE_PROTO:
		t, _, err := d.typeOf(a.GetTp(), func() string { return d.stem("type") })
		if err != nil {
			return within(err, "attribute %s", quote(name))
		}
		value = t
	case pb.AttributeProto_GRAPH:
		if body == nil {
			return malformed("attribute %s is a GRAPH, but holds none", quote(name))
		}
		g, err := d.graph(*body, s, depth+1)
		if err != nil {
			return within(err, "attribute %s", quote(name))
		}
		n.Bodies = append(n.Bodies, &graph.Body{Attr: name, Graph: g.g, Outer: g.outer})
		return nil
	case pb.AttributeProto_UNDEFINED:
		return malformed("attribute %s has no value", quote(name))
	default:
		return unsupported("attribute %s is a %s, which has no support", quote(name), kind)
	}
	if err := d.take(sizeOfValue(value)); err != nil {
		return err
	}
	n.Attrs = append(n.Attrs, graph.Attr{Name: name, Value: value})
	return nil
}

// kindOfValue is the inverse of what attribute does.
func kindOfValue(v any) pb.AttributeProto_AttributeType {
	switch v.(type) {
	case float32:
		return pb.AttributeProto_FLOAT
	case int64:
		return pb.AttributeProto_INT
	case string:
		return pb.AttributeProto_STRING
	case *graph.Tensor:
		return pb.AttributeProto_TENSOR
	case graph.Type:
		return pb.AttributeProto_TYPE_PROTO
	case []float32:
		return pb.AttributeProto_FLOATS
	case []int64:
		return pb.AttributeProto_INTS
	case []string:
		return pb.AttributeProto_STRINGS
	case []*graph.Tensor:
		return pb.AttributeProto_TENSORS
	}
	return pb.AttributeProto_UNDEFINED
}

// sizeOfValue returns the bytes that an attribute's value takes.
func sizeOfValue(v any) int64 {
	switch v := v.(type) {
	case string:
		return int64(len(v))
	case []float32:
		return 4 * int64(len(v))
	case []int64:
		return 8 * int64(len(v))
	case []string:
		n := 16 * int64(len(v))
		for _, s := range v {
			n += int64(len(s))
		}
		return n
	}
	return 16
}
