package onnx

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

func TestAttributes(t *testing.T) {
	one := tensorProto("", 1, nil, data(tensorRawData, 0, 0, 128, 63))
	for _, c := range []struct {
		name string
		attr *pb.AttributeProto
		want string // the value, or part of the error
		kind error
	}{
		{"float", &pb.AttributeProto{Type: pb.AttributeProto_FLOAT, F: proto.Float32(1.5)}, "float32 1.5", nil},
		{"int", intAttr("", -3), "int64 -3", nil},
		{"int 0", intAttr("", 0), "int64 0", nil},
		{"int 0, not written", &pb.AttributeProto{Type: pb.AttributeProto_INT}, "int64 0", nil},
		{"string", &pb.AttributeProto{Type: pb.AttributeProto_STRING, S: []byte("a\xffb")}, "string a\xffb", nil},
		{"floats", &pb.AttributeProto{Type: pb.AttributeProto_FLOATS, Floats: []float32{1, 2}}, "[]float32 [1 2]", nil},
		{"ints", &pb.AttributeProto{Type: pb.AttributeProto_INTS, Ints: []int64{1, -2}}, "[]int64 [1 -2]", nil},
		{"no ints", &pb.AttributeProto{Type: pb.AttributeProto_INTS}, "[]int64 []", nil},
		{"strings", &pb.AttributeProto{Type: pb.AttributeProto_STRINGS, Strings: [][]byte{[]byte("a"), nil}}, "[]string [a ]", nil},
		{"type", &pb.AttributeProto{Type: pb.AttributeProto_TYPE_PROTO, Tp: info("", graph.Int8, 2).Type}, "graph.Type int8[2]", nil},
		{"no type field", &pb.AttributeProto{Ints: []int64{4}}, "[]int64 [4]", nil},
		{"nothing", &pb.AttributeProto{}, "has no value", ErrMalformed},
		{"tensor missing", &pb.AttributeProto{Type: pb.AttributeProto_TENSOR}, "is a TENSOR, but holds none", ErrMalformed},
		{"graph missing", &pb.AttributeProto{Type: pb.AttributeProto_GRAPH}, "is a GRAPH, but holds none", ErrMalformed},
		{"wrong type", &pb.AttributeProto{Type: pb.AttributeProto_INT, F: proto.Float32(1)}, "is a INT, but holds a FLOAT", ErrMalformed},
		{"two values", &pb.AttributeProto{I: proto.Int64(1), Floats: []float32{1}}, "is a INT, but holds a FLOATS", ErrMalformed},
		{"bad tensor", &pb.AttributeProto{Type: pb.AttributeProto_TENSOR, T: one[:len(one)-1]}, "bytes declared", ErrMalformed},
		{"graphs", &pb.AttributeProto{Graphs: []*pb.GraphProto{{}}}, "is a GRAPHS, which has no support", ErrUnsupported},
		{"sparse tensor", &pb.AttributeProto{Type: pb.AttributeProto_SPARSE_TENSOR, SparseTensor: []byte{}}, "is a SPARSE_TENSOR, which has no support", ErrUnsupported},
		{"unknown type", &pb.AttributeProto{Type: 77}, "is a 77, which has no support", ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.attr.Name = "a"
			p := newModel(node("Foo", "x", "y", c.attr))
			if c.kind != nil {
				refusesModel(t, p, c.kind, `"n_Foo_y" (Foo): attribute "a": `, c.want)
				return
			}
			m := decode(t, p)
			v := m.Graph.Nodes[0].Attr("a")
			if got := fmt.Sprintf("%T %v", v, v); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			roundTrip(t, m, SaveOptions{})
		})
	}
	refusesModel(t, newModel(node("Foo", "x", "y", intAttr("", 1))), ErrMalformed, "an attribute has no name")
	refusesModel(t, newModel(node("Foo", "x", "y", intAttr("a", 1), intAttr("b", 1), intAttr("a", 2))), ErrMalformed, `attribute "a" is given twice`)
}

// TestTensorAttributes keeps the tensors of Constant nodes as ranges of the
// file.
func TestTensorAttributes(t *testing.T) {
	one := tensorProto("", 1, nil, data(tensorRawData, 0, 0, 128, 63))
	p := newModel(
		node("Constant", "", "k", &pb.AttributeProto{Name: "value", Type: pb.AttributeProto_TENSOR, T: one}),
		node("Foo", "x k", "y", &pb.AttributeProto{Name: "list", Type: pb.AttributeProto_TENSORS, Tensors: [][]byte{one, one}}))
	b := encode(t, p)
	m, err := Decode("m.onnx", b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := m.Graph.Nodes[0].Tensor("value")
	if s := v.Source; s == nil || s.File != "m.onnx" || s.Length != 4 || &b[s.Offset] != &v.Data[0] {
		t.Errorf("the constant comes from %+v", s)
	}
	if l, _ := m.Graph.Nodes[1].Attr("list").([]*graph.Tensor); len(l) != 2 {
		t.Errorf("list of %d tensors", len(l))
	}
	roundTrip(t, m, SaveOptions{})
}
