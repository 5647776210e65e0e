package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
)

// UnmarshalTensor decodes a TensorProto, as in the data files of conformance
// cases. The tensor's Data is part of b; external data is refused.
func UnmarshalTensor(b []byte) (*graph.Tensor, error) {
	return unmarshalContainer(b, graph.TensorKind)
}

// UnmarshalSequence decodes a SequenceProto of tensors, sequences or optionals.
func UnmarshalSequence(b []byte) (*graph.Tensor, error) {
	return unmarshalContainer(b, graph.SequenceKind)
}

// UnmarshalOptional decodes an OptionalProto.
func UnmarshalOptional(b []byte) (*graph.Tensor, error) {
	return unmarshalContainer(b, graph.OptionalKind)
}

func unmarshalContainer(b []byte, kind graph.Kind) (*graph.Tensor, error) {
	d := newDecoder("", int64(len(b)), Options{}.withDefaults())
	return d.container(span{b: b}, kind, 1)
}

// container decodes a tensor, sequence or optional. Sequences and optionals
// share the numbers of their fields: 1 name, 2 elem_type, and from 3 on the
// elements, one field for each kind.
func (d *decoder) container(s span, kind graph.Kind, depth int) (*graph.Tensor, error) {
	if depth > d.o.MaxDepth {
		return nil, limited("byte %d: messages nested more than %d deep", s.at, d.o.MaxDepth)
	}
	if kind == graph.TensorKind {
		_, t, err := d.tensor(s)
		if err == nil {
			t.Source = nil
		}
		return t, err
	}
	what := "SequenceProto"
	if kind == graph.OptionalKind {
		what = "OptionalProto"
	}
	t := &graph.Tensor{Kind: kind}
	err := s.each(what, func(f field) error {
		var elem graph.Kind
		switch f.num {
		case 1, 2:
			return nil
		case 3:
			elem = graph.TensorKind
		case 5:
			elem = graph.SequenceKind
		case 7:
			elem = graph.OptionalKind
		case 4, 6:
			return unsupported("byte %d: %s of sparse tensors or maps", f.tag, what)
		default:
			return nil
		}
		if f.typ != protowire.BytesType {
			return malformed("byte %d: %s, field %d has wire type %d", f.tag, what, f.num, f.typ)
		}
		if kind == graph.OptionalKind && len(t.Elems) == 1 {
			return malformed("byte %d: an optional holds two values", f.tag)
		}
		if err := d.take(128); err != nil {
			return err
		}
		e, err := d.container(f.span, elem, depth+1)
		if err != nil {
			return within(err, "element %d", len(t.Elems))
		}
		t.Elems = append(t.Elems, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}
