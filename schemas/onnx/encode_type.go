package onnx

import (
	"strconv"
	"strings"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// typeProto converts the type of a value; nil if nothing is known of it.
func (e *encoder) typeProto(v *graph.Value) *pb.TypeProto { return e.typeOfKind(v.Type, v) }

func (e *encoder) typeOfKind(t graph.Type, v *graph.Value) *pb.TypeProto {
	switch t.Kind {
	case graph.SequenceKind:
		s := &pb.TypeProto_Sequence{}
		if t.Elem != nil {
			s.ElemType = e.typeOfKind(*t.Elem, v)
		}
		return &pb.TypeProto{Value: &pb.TypeProto_SequenceType{SequenceType: s}}
	case graph.OptionalKind:
		s := &pb.TypeProto_Optional{}
		if t.Elem != nil {
			s.ElemType = e.typeOfKind(*t.Elem, v)
		}
		return &pb.TypeProto{Value: &pb.TypeProto_OptionalType{OptionalType: s}}
	}
	if t.DType == graph.Undefined && !t.Shape.Ranked() {
		return nil
	}
	p := &pb.TypeProto_Tensor{ElemType: int32(t.DType)}
	if t.Shape.Ranked() {
		p.Shape = &pb.TensorShapeProto{}
		for i, d := range t.Shape {
			p.Shape.Dim = append(p.Shape.Dim, e.dimProto(d, i, v))
		}
	}
	return &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: p}}
}

// dimProto converts extent i of v. A symbol that import made up becomes what
// the file had there: the exporter's hint, or nothing.
func (e *encoder) dimProto(d graph.Dim, i int, v *graph.Value) *pb.TensorShapeProto_Dimension {
	if n, ok := d.Int(); ok {
		return &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: n}}
	}
	text := d.String()
	if name, ok := d.Symbol(); ok && !e.o.Annotate && (madeUp(name, v.Name, i) || v.From != "" && madeUp(name, v.From, i)) {
		text = ""
		if i < len(v.Hints) {
			text = v.Hints[i]
		}
	}
	if text == "" {
		return &pb.TensorShapeProto_Dimension{}
	}
	return &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimParam{DimParam: text}}
}

// madeUp reports whether import gave the symbol to extent axis of a value.
func madeUp(symbol, value string, axis int) bool {
	rest, ok := strings.CutSuffix(symbol, "."+strconv.Itoa(axis))
	if ok {
		rest, ok = strings.CutPrefix(rest, plainStem(value))
	}
	if ok && rest != "" {
		rest, ok = strings.CutPrefix(rest, "~")
		_, err := strconv.Atoi(rest)
		ok = ok && err == nil
	}
	return ok
}
