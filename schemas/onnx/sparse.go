package onnx

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	"mnnconv/graph"
)

// Field numbers of SparseTensorProto.
const (
	sparseValues  = 1
	sparseIndices = 2
	sparseDims    = 3
)

// sparse decodes one SparseTensorProto into a dense tensor, with zeros where it says
// nothing, and returns the name in it, which is that of its values. Its indices are
// one number for each value, into the elements in row-major order, or one for each
// extent; both ascend.
func (d *decoder) sparse(s span) (string, *graph.Tensor, error) {
	var name string
	var values, indices *graph.Tensor
	dense := &tensorFields{at: s.at} // its dims alone
	err := s.each("SparseTensorProto", func(f field) (err error) {
		switch {
		case f.num == sparseDims:
			return dense.addDims(f, d.o.MaxRank)
		case f.num != sparseValues && f.num != sparseIndices:
			return nil
		case f.typ != protowire.BytesType:
			return malformed("byte %d: SparseTensorProto, field %d has wire type %d", f.tag, f.num, f.typ)
		case f.num == sparseValues && values == nil:
			name, values, err = d.tensor(f.span)
		case f.num == sparseIndices && indices == nil:
			_, indices, err = d.tensor(f.span)
		default:
			return malformed("byte %d: SparseTensorProto, field %d given twice", f.tag, f.num)
		}
		return err
	})
	var t *graph.Tensor
	if err == nil {
		t, err = d.spread(dense.dims, values, indices)
	}
	if err != nil {
		return "", nil, within(err, "byte %d: sparse initializer %s", s.at, quote(name))
	}
	return name, t, nil
}

// spread returns a tensor of zeros with the values at their indices.
func (d *decoder) spread(dims []int64, values, indices *graph.Tensor) (*graph.Tensor, error) {
	elements, err := graph.Elements(dims)
	if err != nil {
		return nil, malformed("%w", err)
	}
	switch {
	case values == nil || len(values.Shape) != 1:
		return nil, malformed("its values must be a tensor of one extent")
	case values.DType.Bits()%8 != 0 || values.DType == graph.String:
		return nil, unsupported("sparse tensors of %s have no support: store the weight dense", values.DType)
	}
	count, width := values.Shape[0], int64(values.DType.Bits()/8)
	if indices == nil && count == 0 {
		indices = graph.Ints(nil, 0)
	}
	coordinates := indices != nil && len(indices.Shape) == 2 && indices.Shape[0] == count && indices.Shape[1] == int64(len(dims))
	linear := indices != nil && len(indices.Shape) == 1 && indices.Shape[0] == count
	if !coordinates && !linear || indices.DType != graph.Int64 {
		return nil, malformed("%d values of a tensor of %d extents need indices int64[%[1]d] or int64[%[1]d, %[2]d]", count, len(dims))
	}
	size, ok := values.DType.Bytes(elements)
	if !ok {
		return nil, malformed("shape %v of %s has more bytes than fit in 64 bits", dims, values.DType)
	}
	if err := d.take(size); err != nil {
		return nil, within(err, "%d bytes dense: store it so", size)
	}
	t := &graph.Tensor{DType: values.DType, Shape: append([]int64{}, dims...), Data: make([]byte, size)}
	extents := []int64{elements}
	if coordinates {
		extents = dims
	}
	last, rest := int64(-1), indices.Data
	for i := range count {
		at := int64(0)
		for _, extent := range extents {
			k := int64(binary.LittleEndian.Uint64(rest))
			if rest = rest[8:]; k < 0 || k >= extent {
				return nil, malformed("value %d has index %d, beyond an extent of %d", i, k, extent)
			}
			at = at*extent + k
		}
		if at <= last {
			return nil, malformed("the index of value %d is not after that of the one before", i)
		}
		copy(t.Data[at*width:], values.Data[i*width:(i+1)*width])
		last = at
	}
	return t, nil
}
