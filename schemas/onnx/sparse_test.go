package onnx

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// sparseTensor is a SparseTensorProto "w"; nil values or indices are left out.
func sparseTensor(dims []int64, values, indices []byte) []byte {
	p := &pieces{}
	if values != nil {
		p.bytes(sparseValues, values)
	}
	if indices != nil {
		p.bytes(sparseIndices, indices)
	}
	for _, n := range dims {
		p.varint(sparseDims, n)
	}
	return slices.Concat(p.list...)
}

func rawFloats(v ...float32) []byte {
	b := []byte{}
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return tensorProto("w", 1, []int64{int64(len(v))}, data(tensorRawData, b...))
}

func rawInts(shape []int64, v ...int64) []byte {
	b := []byte{}
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, uint64(x))
	}
	return tensorProto("", 7, shape, data(tensorRawData, b...))
}

// sparseModel adds a sparse initializer w to x.
func sparseModel(w []byte) *pb.ModelProto {
	m := newModel(node("Add", "x w", "y"))
	m.Graph.SparseInitializer = [][]byte{w}
	return m
}

func TestSparse(t *testing.T) {
	for _, c := range []struct {
		name            string
		values, indices []byte
		want            []float32 // of a tensor [2, 3]
	}{
		{"linear", rawFloats(5, 7), rawInts([]int64{2}, 1, 5), []float32{0, 5, 0, 0, 0, 7}},
		{"coordinates", rawFloats(5, 7), rawInts([]int64{2, 2}, 0, 1, 1, 2), []float32{0, 5, 0, 0, 0, 7}},
		{"none", rawFloats(), rawInts([]int64{0}), make([]float32, 6)},
		{"none without indices", rawFloats(), nil, make([]float32, 6)},
		{"all", rawFloats(1, 2, 3, 4, 5, 6), rawInts([]int64{6}, 0, 1, 2, 3, 4, 5), []float32{1, 2, 3, 4, 5, 6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := decode(t, sparseModel(sparseTensor([]int64{2, 3}, c.values, c.indices)))
			w := m.Graph.Nodes[0].Inputs[1]
			got, err := w.Const.Float32s()
			if err != nil || w.Name != "w" || !slices.Equal(got, c.want) || !slices.Equal(w.Const.Shape, []int64{2, 3}) {
				t.Errorf("%q %v %v, want %v; %v", w.Name, w.Const.Shape, got, c.want, err)
			}
		})
	}
	scalar := decode(t, sparseModel(sparseTensor(nil, rawFloats(4), rawInts([]int64{1}, 0)))).Graph.Nodes[0].Inputs[1].Const
	if got, err := scalar.Float32s(); err != nil || len(scalar.Shape) != 0 || !slices.Equal(got, []float32{4}) {
		t.Errorf("no extents: %v %v %v", scalar.Shape, got, err)
	}
}

func TestSparseErrors(t *testing.T) {
	pair, at := rawFloats(5, 7), rawInts([]int64{2}, 1, 5)
	for _, c := range []struct {
		name            string
		dims            []int64
		values, indices []byte
		kind            error
		want            string
	}{
		{"beyond", []int64{2, 3}, pair, rawInts([]int64{2}, 1, 6), ErrMalformed, "value 1 has index 6, beyond an extent of 6"},
		{"negative", []int64{2, 3}, pair, rawInts([]int64{2}, -1, 5), ErrMalformed, "value 0 has index -1"},
		{"beyond a coordinate", []int64{2, 3}, pair, rawInts([]int64{2, 2}, 0, 3, 1, 2), ErrMalformed, "value 0 has index 3, beyond an extent of 3"},
		{"descending", []int64{2, 3}, pair, rawInts([]int64{2}, 5, 1), ErrMalformed, "the index of value 1 is not after"},
		{"twice", []int64{2, 3}, pair, rawInts([]int64{2, 2}, 1, 2, 1, 2), ErrMalformed, "the index of value 1 is not after"},
		{"fewer indices", []int64{2, 3}, pair, rawInts([]int64{1}, 1), ErrMalformed, "2 values of a tensor of 2 extents need indices int64[2] or int64[2, 2]"},
		{"other coordinates", []int64{2, 3}, pair, rawInts([]int64{2, 1}, 1, 5), ErrMalformed, "need indices"},
		{"no indices", []int64{2, 3}, pair, nil, ErrMalformed, "need indices"},
		{"indices of another type", []int64{2, 3}, pair, tensorProto("", 6, []int64{2}, data(tensorRawData, make([]byte, 8)...)), ErrMalformed, "need indices int64"},
		{"no values", []int64{2, 3}, nil, at, ErrMalformed, "its values must be a tensor of one extent"},
		{"values of two extents", []int64{2, 3}, tensorProto("w", 1, []int64{2, 1}, data(tensorRawData, make([]byte, 8)...)), at, ErrMalformed, "its values must be a tensor of one extent"},
		{"empty", []int64{0, 3}, pair, at, ErrMalformed, "beyond an extent of 0"},
		{"negative extent", []int64{-2, 3}, pair, at, ErrMalformed, "negative extent"},
		{"more than fits in numbers", []int64{1 << 40, 1 << 40}, pair, at, ErrMalformed, "64 bits"},
		{"more than may be taken", []int64{1 << 40}, pair, at, ErrLimit, "4398046511104 bytes dense: store it so"},
		{"half bytes", []int64{2, 3}, tensorProto("w", int64(graph.Int4), []int64{2}, data(tensorRawData, 1)), at, ErrUnsupported, "sparse tensors of int4"},
		{"texts", []int64{2, 3}, tensorProto("w", int64(graph.String), []int64{2}, data(tensorStringData, 'a'), data(tensorStringData, 'b')), at, ErrUnsupported, "sparse tensors of string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts := []string{c.want, "sparse initializer "}
			if c.values != nil {
				parts = append(parts, `sparse initializer "w"`)
			}
			refusesModel(t, sparseModel(sparseTensor(c.dims, c.values, c.indices)), c.kind, parts...)
		})
	}
	twice := append(sparseTensor([]int64{6}, pair, at), sparseTensor(nil, nil, at)...)
	refusesModel(t, sparseModel(twice), ErrMalformed, "field 2 given twice")
}
