package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// attribute decodes one AttributeProto into n, a value of Attrs or a body, and
// returns its name. A reference to an attribute of the function being inlined is
// replaced by that attribute; where the call does not give it, n goes without.
func (d *decoder) attribute(s *scope, n *graph.Node, at span, depth int) (name string, err error) {
	if err := d.one("attributes", &d.attrs, d.o.MaxAttrs, 32); err != nil {
		return "", err
	}
	a := &pb.AttributeProto{}
	parts := attributeParts{}
	if err := d.message(at, depth, a, held{attributeHeld, func(num protowire.Number, s span) error { return parts.take(d, num, s) }}); err != nil {
		return "", err
	}
	if name = a.GetName(); name == "" {
		return "", malformed("byte %d: an attribute has no name", at.at)
	}
	if err := d.name(name); err != nil {
		return "", err
	}
	if a.GetRefAttrName() != "" {
		err = d.reference(s, n, a)
	} else {
		err = d.attributeValue(s, n, a, &parts, depth)
	}
	if err != nil {
		return "", within(err, "attribute %s", quote(name))
	}
	return name, nil
}

// attributeParts are the fields of an AttributeProto that are not decoded with
// the others.
type attributeParts struct {
	tensor, body   *span
	tensors        []span
	sparse, graphs bool
}

const attributeHeld = 1<<5 | 1<<6 | 1<<10 | 1<<11 | 1<<22 | 1<<23

func (p *attributeParts) take(d *decoder, num protowire.Number, s span) error {
	switch num {
	case 5:
		p.tensor = &s
	case 6:
		p.body = &s
	case 10:
		p.tensors = append(p.tensors, s)
		return d.take(4 * spanSize) // the list grows by copying
	case 11:
		p.graphs = true
	case 22, 23:
		p.sparse = true
	}
	return nil
}

// reference puts the attribute of the call that a refers to into n.
func (d *decoder) reference(s *scope, n *graph.Node, a *pb.AttributeProto) error {
	ref := a.GetRefAttrName()
	if s.call == nil {
		return malformed("refers to attribute %s, but is not in a function", quote(ref))
	}
	v, declared, err := s.call.attr(d, ref)
	switch {
	case err != nil:
		return err
	case !declared:
		return malformed("refers to attribute %s, which the function does not declare", quote(ref))
	case v == nil:
		return nil
	}
	if want := kindOfValue(v); a.GetType() != 0 && a.GetType() != want {
		return malformed("is a %s, but refers to %s, which is a %s", a.GetType(), quote(ref), want)
	}
	n.Attrs = append(n.Attrs, graph.Attr{Name: a.GetName(), Value: v})
	return nil
}

// kind returns the type of an attribute, which must be that of the one value it
// holds.
func (p *attributeParts) kind(a *pb.AttributeProto) (pb.AttributeProto_AttributeType, error) {
	present := []struct {
		kind pb.AttributeProto_AttributeType
		set  bool
	}{
		{pb.AttributeProto_FLOAT, a.F != nil},
		{pb.AttributeProto_INT, a.I != nil},
		{pb.AttributeProto_STRING, a.S != nil},
		{pb.AttributeProto_TENSOR, p.tensor != nil},
		{pb.AttributeProto_GRAPH, p.body != nil},
		{pb.AttributeProto_FLOATS, a.Floats != nil},
		{pb.AttributeProto_INTS, a.Ints != nil},
		{pb.AttributeProto_STRINGS, a.Strings != nil},
		{pb.AttributeProto_TENSORS, p.tensors != nil},
		{pb.AttributeProto_GRAPHS, p.graphs},
		{pb.AttributeProto_TYPE_PROTO, a.Tp != nil},
		{pb.AttributeProto_TYPE_PROTOS, a.TypeProtos != nil},
	}
	kind := a.GetType()
	for _, has := range present {
		if !has.set {
			continue
		}
		if kind == pb.AttributeProto_UNDEFINED { // some writers leave the type out
			kind = has.kind
		}
		if has.kind != kind {
			return 0, malformed("is a %s, but holds a %s", kind, has.kind)
		}
	}
	if kind == pb.AttributeProto_UNDEFINED && p.sparse {
		kind = pb.AttributeProto_SPARSE_TENSOR
	}
	return kind, nil
}

func (d *decoder) attributeValue(s *scope, n *graph.Node, a *pb.AttributeProto, parts *attributeParts, depth int) error {
	kind, err := parts.kind(a)
	if err != nil {
		return err
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
		if parts.tensor == nil {
			return malformed("is a TENSOR, but holds none")
		}
		_, t, err := d.tensor(*parts.tensor)
		if err != nil {
			return err
		}
		value = t
	case pb.AttributeProto_TENSORS:
		list := make([]*graph.Tensor, len(parts.tensors))
		for i, b := range parts.tensors {
			_, t, err := d.tensor(b)
			if err != nil {
				return err
			}
			list[i] = t
		}
		value = list
	case pb.AttributeProto_TYPE_PROTO:
		t, _, err := d.typeOf(a.GetTp(), func() string { return d.stem("type") })
		if err != nil {
			return err
		}
		value = t
	case pb.AttributeProto_GRAPH:
		if parts.body == nil {
			return malformed("is a GRAPH, but holds none")
		}
		g, err := d.graph(*parts.body, s, depth+1)
		if err != nil {
			return err
		}
		n.Bodies = append(n.Bodies, &graph.Body{Attr: a.GetName(), Graph: g.g, Outer: g.outer})
		return nil
	case pb.AttributeProto_UNDEFINED:
		return malformed("has no value")
	default:
		return unsupported("is a %s, which has no support", kind)
	}
	if err := d.take(sizeOfValue(value)); err != nil {
		return err
	}
	n.Attrs = append(n.Attrs, graph.Attr{Name: a.GetName(), Value: value})
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
