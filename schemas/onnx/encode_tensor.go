package onnx

import (
	"strconv"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// tensor encodes a TensorProto. Its data is inline and held by reference, or
// goes to data if there is one and the tensor is large enough.
func (e *encoder) tensor(name string, t *graph.Tensor, data *Data) (*pieces, error) {
	size, err := checkTensor(t)
	if err != nil {
		return nil, err
	}
	p := &pieces{}
	for _, n := range t.Shape {
		p.varint(tensorDims, n)
	}
	p.varint(tensorDataType, int64(t.DType))
	for _, s := range t.Strings {
		p.bytes(tensorStringData, []byte(s))
	}
	if name != "" {
		p.bytes(tensorName, []byte(name))
	}
	if t.DType == graph.String {
		return p, nil
	}
	if data == nil || size < e.o.Threshold || size == 0 {
		raw, err := rawData(t)
		p.bytes(tensorRawData, raw)
		return p, err
	}
	r, err := data.Add(t)
	if err != nil {
		return nil, err
	}
	for _, e := range []*pb.StringStringEntryProto{
		{Key: "location", Value: r.File},
		{Key: "offset", Value: strconv.FormatInt(r.Offset, 10)},
		{Key: "length", Value: strconv.FormatInt(r.Length, 10)},
	} {
		q := &pieces{}
		if err := q.proto(e); err != nil {
			return nil, err
		}
		p.message(tensorExternalData, q)
	}
	p.varint(tensorLocation, 1)
	return p, nil
}

// rawData returns a tensor's bytes, computed now if they are not there.
func rawData(t *graph.Tensor) ([]byte, error) {
	data, err := t.Contents()
	if err == nil && int64(len(data)) != t.Size() {
		err = malformed("a weight of %d bytes came to %d", t.Size(), len(data))
	}
	return data, err
}

// checkTensor returns the size of t's data, which must fit its type.
func checkTensor(t *graph.Tensor) (int64, error) {
	if t.Kind != graph.TensorKind || !t.DType.Valid() {
		return 0, unsupported("%s is no tensor", t.Type())
	}
	n, err := graph.Elements(t.Shape)
	if err != nil {
		return 0, err
	}
	size, ok := t.DType.Bytes(n)
	if !ok || size != t.Size() || t.DType == graph.String && n != int64(len(t.Strings)) {
		return 0, malformed("%s%v has %d bytes and %d strings", t.DType, t.Shape, t.Size(), len(t.Strings))
	}
	return size, nil
}
