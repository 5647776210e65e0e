package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// node encodes n; scopes are the names of the graphs around its bodies.
func (e *encoder) node(n *graph.Node, scopes []map[string]bool) (*pieces, error) {
	head := &pb.NodeProto{Name: n.Name, OpType: n.Op}
	for _, v := range n.Inputs {
		head.Input = append(head.Input, e.nameOf(v))
	}
	for _, v := range n.Outputs {
		head.Output = append(head.Output, e.nameOf(v))
	}
	p := &pieces{}
	if err := p.proto(head); err != nil {
		return nil, err
	}
	for _, a := range n.Attrs {
		q, err := e.attribute(a)
		if err != nil {
			return nil, within(err, "attribute %s", quote(a.Name))
		}
		p.message(5, q)
	}
	for _, b := range n.Bodies {
		q, err := e.body(b, scopes)
		if err != nil {
			return nil, within(err, "attribute %s", quote(b.Attr))
		}
		p.message(5, q)
	}
	return p, p.proto(&pb.NodeProto{Domain: n.Domain, MetadataProps: metaProtos(e.annotateNode(n))})
}

func (e *encoder) body(b *graph.Body, scopes []map[string]bool) (*pieces, error) {
	if len(b.Outer) != len(b.Graph.Captures) {
		return nil, malformed("%d captures stand for %d values", len(b.Graph.Captures), len(b.Outer))
	}
	for i, v := range b.Graph.Captures {
		e.names[v] = e.nameOf(b.Outer[i])
	}
	g, err := e.graph(b.Graph, scopes)
	if err != nil {
		return nil, err
	}
	p := &pieces{}
	if err := p.proto(&pb.AttributeProto{Name: b.Attr}); err != nil {
		return nil, err
	}
	p.message(6, g)
	return p, p.proto(&pb.AttributeProto{Type: pb.AttributeProto_GRAPH})
}

// Ref as the value of an attribute, in the body of a [Function], stands for
// the function's attribute of a name.
type Ref struct {
	Name string
	Like any // any value of the attribute's type
}

func (e *encoder) attribute(a graph.Attr) (*pieces, error) {
	p := &pieces{}
	m := &pb.AttributeProto{Name: a.Name, Type: kindOfValue(a.Value)}
	switch v := a.Value.(type) {
	case float32:
		m.F = proto.Float32(v)
	case int64:
		m.I = proto.Int64(v)
	case string:
		m.S = []byte(v)
	case []float32:
		m.Floats = v
	case []int64:
		m.Ints = v
	case []string:
		for _, s := range v {
			m.Strings = append(m.Strings, []byte(s))
		}
	case graph.Type:
		m.Tp = e.typeProto(&graph.Value{Type: v})
	case Ref:
		m.RefAttrName, m.Type = v.Name, kindOfValue(v.Like)
	case *graph.Tensor:
		return p, e.tensors(p, m, 5, v)
	case []*graph.Tensor:
		return p, e.tensors(p, m, 10, v...)
	default:
		return nil, unsupported("a %T is no value of an attribute", v)
	}
	return p, p.proto(m)
}

// tensors writes the attribute m with tensors in field num.
func (e *encoder) tensors(p *pieces, m *pb.AttributeProto, num protowire.Number, list ...*graph.Tensor) error {
	if err := p.proto(&pb.AttributeProto{Name: m.Name}); err != nil {
		return err
	}
	for _, t := range list {
		q, err := e.tensor("", t, nil)
		if err != nil {
			return err
		}
		p.message(num, q)
	}
	return p.proto(&pb.AttributeProto{Type: m.Type})
}
