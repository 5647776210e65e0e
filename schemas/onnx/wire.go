package onnx

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// span is a stretch of the file: its bytes, and where they start.
type span struct {
	b  []byte
	at int
}

const spanSize = 32 // bytes of memory

// field is one field of a message.
type field struct {
	num   protowire.Number
	typ   protowire.Type
	span         // the payload of a length-delimited field, else the encoded number
	num64 uint64 // the value of a varint or fixed field
	tag   int    // where the field starts
}

// next splits the first field off s. what names the message.
func (s span) next(what string) (field, span, error) {
	num, typ, n := protowire.ConsumeTag(s.b)
	if n < 0 {
		return field{}, s, malformed("byte %d: %s: %w", s.at, what, protowire.ParseError(n))
	}
	f := field{num: num, typ: typ, tag: s.at}
	rest := span{s.b[n:], s.at + n}
	var v int
	switch typ {
	case protowire.BytesType:
		size, k := protowire.ConsumeVarint(rest.b)
		if k < 0 {
			return f, s, malformed("byte %d: %s, field %d: %w", s.at, what, num, protowire.ParseError(k))
		}
		if left := len(rest.b) - k; size > uint64(left) {
			return f, s, malformed("byte %d: %s, field %d: %d bytes declared, %d left", s.at, what, num, size, left)
		}
		v = k + int(size)
		f.span = span{rest.b[k:v:v], rest.at + k}
		return f, span{rest.b[v:], rest.at + v}, nil
	case protowire.VarintType:
		f.num64, v = protowire.ConsumeVarint(rest.b)
	case protowire.Fixed32Type:
		var x uint32
		x, v = protowire.ConsumeFixed32(rest.b)
		f.num64 = uint64(x)
	case protowire.Fixed64Type:
		f.num64, v = protowire.ConsumeFixed64(rest.b)
	default:
		return f, s, malformed("byte %d: %s, field %d: a group, which ONNX does not have", s.at, what, num)
	}
	if v < 0 {
		return f, s, malformed("byte %d: %s, field %d: %w", s.at, what, num, protowire.ParseError(v))
	}
	f.span = span{rest.b[:v:v], rest.at}
	return f, span{rest.b[v:], rest.at + v}, nil
}

// held are the fields of a message that the generated code does not decode:
// those of nums are handed to take, in file order.
type held struct {
	nums uint32 // bit n: the field of number n
	take func(protowire.Number, span) error
}

func (h held) has(n protowire.Number) bool { return n < 32 && h.nums>>n&1 != 0 }

// message decodes s into m with the generated code, except the fields to hold,
// which are handed over first. Everything is checked and its memory counted
// before anything is decoded.
func (d *decoder) message(s span, depth int, m proto.Message, hold held) error {
	desc := m.ProtoReflect().Descriptor()
	what := string(desc.Name())
	if depth > d.o.MaxDepth {
		return limited("byte %d: %s: messages nested more than %d deep", s.at, what, d.o.MaxDepth)
	}
	var cost int64
	err := s.each(what, func(f field) error {
		if !hold.has(f.num) {
			n, err := d.scanField(f, desc, depth)
			cost += n
			return err
		}
		if f.typ != protowire.BytesType {
			return malformed("byte %d: %s, field %d has wire type %d", f.tag, what, f.num, f.typ)
		}
		return hold.take(f.num, f.span)
	})
	if err == nil {
		err = d.room(cost)
	}
	if err != nil {
		return err
	}
	merge := func(b []byte) error {
		if len(b) == 0 {
			return nil
		}
		o := proto.UnmarshalOptions{Merge: true, AllowPartial: true, DiscardUnknown: true, RecursionLimit: d.o.MaxDepth + 1}
		if err := o.Unmarshal(b, m); err != nil {
			return malformed("byte %d: %s: %w", s.at, what, err)
		}
		return nil
	}
	start := 0 // of a run of fields that are not held
	err = s.each(what, func(f field) error {
		if !hold.has(f.num) {
			return nil
		}
		run := s.b[start : f.tag-s.at]
		start = f.at - s.at + len(f.b)
		return merge(run)
	})
	if err != nil {
		return err
	}
	return merge(s.b[start:])
}

// each calls f for every field of the message s; what names the message.
func (s span) each(what string, f func(field) error) error {
	for rest := s; len(rest.b) > 0; {
		next, after, err := rest.next(what)
		if err == nil {
			err = f(next)
		}
		if err != nil {
			return err
		}
		rest = after
	}
	return nil
}

// counted counts a field, up to a limit.
func counted(n *int, limit int, s span, what string) error {
	if *n++; *n > limit {
		return limited("byte %d: more than %d %s", s.at, limit, what)
	}
	return nil
}

// scanField checks a field that the generated code is about to decode, and
// returns the memory, in bytes, that this takes at most.
func (d *decoder) scanField(f field, desc protoreflect.MessageDescriptor, depth int) (int64, error) {
	fd := desc.Fields().ByNumber(f.num)
	if fd == nil {
		return 0, nil
	}
	want := protowire.BytesType
	switch fd.Kind() {
	case protoreflect.MessageKind:
		if f.typ != protowire.BytesType {
			break
		}
		sub := fd.Message()
		if depth >= d.o.MaxDepth {
			return 0, limited("byte %d: %s: messages nested more than %d deep", f.tag, sub.Name(), d.o.MaxDepth)
		}
		cost := 64 + 24*int64(sub.Fields().Len())
		err := f.each(string(sub.Name()), func(g field) error {
			n, err := d.scanField(g, sub, depth+1)
			cost += n
			return err
		})
		if err != nil {
			return 0, err
		}
		return cost, nil
	case protoreflect.StringKind, protoreflect.BytesKind:
		if f.typ == protowire.BytesType {
			return 48 + int64(len(f.b)), nil
		}
	case protoreflect.FloatKind:
		want = protowire.Fixed32Type
	default:
		want = protowire.VarintType
	}
	if f.typ == protowire.BytesType && fd.IsList() && want != protowire.BytesType { // packed
		return 16 * int64(len(f.b)), nil
	}
	if f.typ != want {
		return 0, malformed("byte %d: %s.%s has wire type %d", f.tag, desc.Name(), fd.Name(), f.typ)
	}
	return 16, nil
}
