package onnx

import (
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// pieces is a message being written: stretches of bytes in order. Weights are
// held by reference, so that a model is never built in memory as a whole.
type pieces struct {
	list [][]byte
	own  bool // the last piece belongs to the list and may grow
	size int64
}

const smallPiece = 4096 // bytes up to which a piece is copied to the one before

// add appends b, which must not change until everything is written.
func (p *pieces) add(b []byte) {
	p.size += int64(len(b))
	if len(b) > smallPiece {
		p.list = append(p.list, b)
		p.own = false
		return
	}
	if !p.own {
		p.list = append(p.list, nil)
		p.own = true
	}
	last := &p.list[len(p.list)-1]
	*last = append(*last, b...)
}

// proto appends the fields of m.
func (p *pieces) proto(m proto.Message) error {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	p.add(b)
	return err
}

// header appends the tag and length of a length-delimited field.
func (p *pieces) header(num protowire.Number, size int64) {
	b := protowire.AppendTag(nil, num, protowire.BytesType)
	p.add(protowire.AppendVarint(b, uint64(size)))
}

// message appends a message as a field.
func (p *pieces) message(num protowire.Number, m *pieces) {
	p.header(num, m.size)
	for _, b := range m.list {
		p.add(b)
	}
}

// bytes appends bytes or a string as a field.
func (p *pieces) bytes(num protowire.Number, b []byte) {
	p.header(num, int64(len(b)))
	p.add(b)
}

// varint appends a number as a field.
func (p *pieces) varint(num protowire.Number, v int64) {
	b := protowire.AppendTag(nil, num, protowire.VarintType)
	p.add(protowire.AppendVarint(b, uint64(v)))
}

// WriteTo writes all pieces.
func (p *pieces) WriteTo(w io.Writer) (int64, error) {
	var n int64
	for _, b := range p.list {
		k, err := w.Write(b)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
