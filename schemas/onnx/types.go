package onnx

import (
	"math"
	"strconv"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// typeOf converts a TypeProto. Every extent that is not a number becomes a
// symbol of its own, stem.axis: the names that exporters give to extents are
// hints, returned beside, since the same name often stands for different
// lengths and different names for the same one.
func (d *decoder) typeOf(p *pb.TypeProto, stem func() string) (t graph.Type, hints []string, err error) {
	switch v := p.GetValue().(type) {
	case nil:
		return graph.Type{}, nil, nil
	case *pb.TypeProto_TensorType:
		t.DType, err = dtypeOf(int64(v.TensorType.GetElemType()))
		if err != nil {
			return t, nil, err
		}
		if t.DType == graph.Undefined {
			return graph.Type{}, nil, nil // a shape alone says nothing that is used
		}
		if s := v.TensorType.GetShape(); s != nil {
			t.Shape, hints, err = d.shapeOf(s, stem)
		}
		return t, hints, err
	case *pb.TypeProto_SequenceType:
		t.Kind = graph.SequenceKind
		t.Elem, err = d.elemOf(v.SequenceType.GetElemType(), stem)
		return t, nil, err
	case *pb.TypeProto_OptionalType:
		t.Kind = graph.OptionalKind
		t.Elem, err = d.elemOf(v.OptionalType.GetElemType(), stem)
		return t, nil, err
	case *pb.TypeProto_MapType:
		return t, nil, unsupported("maps have no support")
	case *pb.TypeProto_SparseTensorType:
		return t, nil, unsupported("sparse tensors have no support")
	}
	return t, nil, unsupported("opaque types have no support")
}

// elemOf converts the element type of a container; nil where it is not told.
func (d *decoder) elemOf(p *pb.TypeProto, stem func() string) (*graph.Type, error) {
	if p == nil {
		return nil, nil
	}
	t, _, err := d.typeOf(p, stem)
	if t.Kind == graph.TensorKind && t.DType == graph.Undefined {
		return nil, err
	}
	return &t, err
}

func (d *decoder) shapeOf(p *pb.TensorShapeProto, stem func() string) (graph.Shape, []string, error) {
	dims := p.GetDim()
	if len(dims) > d.o.MaxRank {
		return nil, nil, limited("%d extents, the limit is %d", len(dims), d.o.MaxRank)
	}
	shape := make(graph.Shape, len(dims))
	known := int64(1) // product of the extents that are numbers
	var hints []string
	for i, dim := range dims {
		if v, ok := dim.GetValue().(*pb.TensorShapeProto_Dimension_DimValue); ok {
			if v.DimValue < 0 {
				return nil, nil, malformed("extent %d is %d", i, v.DimValue)
			}
			var ok bool
			if known, ok = graph.CheckedMul(known, max(v.DimValue, 1)); !ok || known > math.MaxInt64/16 {
				return nil, nil, malformed("extents %v have a product that does not fit in 64 bits", dims)
			}
			shape[i] = graph.Const(v.DimValue)
			continue
		}
		hint := dim.GetDimParam()
		if err := d.name(hint); err != nil {
			return nil, nil, err
		}
		if d.o.Annotations {
			var err error
			if shape[i], err = d.readDim(hint); err != nil {
				return nil, nil, err
			}
			continue
		}
		shape[i] = graph.Sym(stem() + "." + strconv.Itoa(i))
		if hint != "" {
			if hints == nil {
				hints = make([]string, len(dims))
			}
			hints[i] = hint
		}
	}
	if err := d.take(48 * int64(len(dims))); err != nil {
		return nil, nil, err
	}
	return shape, hints, nil
}

// stem returns a fresh stem for the symbols of a value: its name without the
// characters that dims use as operators.
func (d *decoder) stem(name string) string { return d.symbols.fresh(plainStem(name)) }

func plainStem(name string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_', r == '.', r == '/', r == ':':
			return r
		}
		return '_'
	}, name)
	return s[:min(len(s), shownName)]
}
