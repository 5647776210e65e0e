package onnx

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
)

func TestContainers(t *testing.T) {
	one, two := graph.Floats([]float32{1, 2}), graph.Ints([]int64{3})
	sequence := func(e ...*graph.Tensor) *graph.Tensor { return &graph.Tensor{Kind: graph.SequenceKind, Elems: e} }
	optional := func(e ...*graph.Tensor) *graph.Tensor { return &graph.Tensor{Kind: graph.OptionalKind, Elems: e} }
	for name, want := range map[string]*graph.Tensor{
		"sequence":                sequence(one, two),
		"empty sequence":          sequence(),
		"sequence of sequences":   sequence(sequence(one), sequence()),
		"sequence of optionals":   sequence(optional(one), optional()),
		"optional":                optional(one),
		"empty optional":          optional(),
		"optional of a sequence":  optional(sequence(one)),
		"optional of an optional": optional(optional(two)),
	} {
		b, err := marshalTensor(want)
		if err != nil {
			t.Fatal(err)
		}
		read := UnmarshalSequence
		if want.Kind == graph.OptionalKind {
			read = UnmarshalOptional
		}
		got, err := read(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s := differTensors(want, got); s != "" {
			t.Errorf("%s: %s", name, s)
		}
	}
	for name, bad := range map[string]*graph.Tensor{
		"mixed sequence": sequence(one, sequence()),
		"full optional":  optional(one, one),
		"broken element": sequence(&graph.Tensor{DType: graph.Float32, Shape: []int64{3}}),
	} {
		if _, err := marshalTensor(bad); err == nil {
			t.Errorf("%s: is written", name)
		}
	}
	tensor := tensorProto("", 1, nil, data(tensorRawData, 0, 0, 0, 0))
	var deep []byte
	for range 101 {
		deep = wrap(5, deep)
	}
	for _, c := range []struct {
		name string
		b    []byte
		kind error
		want string
	}{
		{"maps", wrap(6, nil), ErrUnsupported, "maps"},
		{"sparse", wrap(4, nil), ErrUnsupported, "sparse"},
		{"element of another wire type", []byte{3 << 3, 1}, ErrMalformed, "wire type 0"},
		{"bad element", wrap(3, tensor[:4]), ErrMalformed, "element 0"},
		{"cut", wrap(3, tensor)[:5], ErrMalformed, "byte 0"},
		{"deep", deep, ErrLimit, "nested more than 100 deep"},
	} {
		_, err := UnmarshalSequence(c.b)
		refuses(t, err, c.kind, c.want)
	}
	_, err := UnmarshalOptional(append(wrap(3, tensor), wrap(3, tensor)...))
	refuses(t, err, ErrMalformed, "two values")
}

// marshalTensor encodes t as a TensorProto, or a sequence or optional as a
// SequenceProto or OptionalProto: files hold the former as weights, and the others in
// conformance cases alone, which are read.
func marshalTensor(t *graph.Tensor) ([]byte, error) {
	p, err := encodeContainer(t)
	if err != nil {
		return nil, err
	}
	return slices.Concat(p.list...), nil
}

// containerElem returns the elem_type and the field that hold a value of a kind
// in a SequenceProto or OptionalProto: they use the same numbers for both,
// except that an optional has one field less before them.
func containerElem(k graph.Kind) (elemType int64, field protowire.Number) {
	switch k {
	case graph.SequenceKind:
		return 3, 5
	case graph.OptionalKind:
		return 5, 7
	}
	return 1, 3
}

func encodeContainer(t *graph.Tensor) (*pieces, error) {
	if t.Kind == graph.TensorKind {
		return (&encoder{}).tensor("", t, nil)
	}
	kind := graph.TensorKind
	if len(t.Elems) > 0 {
		kind = t.Elems[0].Kind
	}
	if t.Kind == graph.OptionalKind && len(t.Elems) > 1 {
		return nil, malformed("an optional holds %d values", len(t.Elems))
	}
	p := &pieces{}
	elemType, field := containerElem(kind)
	if len(t.Elems) == 0 && t.Kind == graph.OptionalKind {
		elemType = 0
	}
	p.varint(2, elemType)
	for i, elem := range t.Elems {
		if elem.Kind != kind {
			return nil, malformed("element %d is of another kind than the first", i)
		}
		q, err := encodeContainer(elem)
		if err != nil {
			return nil, within(err, "element %d", i)
		}
		p.message(field, q)
	}
	return p, nil
}
