package onnx

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// Fixtures are built here as messages, so that a test shows what it is about.

// newModel returns a model with one float32 input x[2,n], one output y, and the
// nodes; edit may change anything before it is encoded.
func newModel(nodes ...*pb.NodeProto) *pb.ModelProto {
	return &pb.ModelProto{
		IrVersion: 10,
		Graph: &pb.GraphProto{
			Name: "g", Node: nodes,
			Input:  []*pb.ValueInfoProto{info("x", graph.Float32, 2, "n")},
			Output: []*pb.ValueInfoProto{info("y", graph.Float32, 2, "n")},
		},
		OpsetImport: []*pb.OperatorSetIdProto{{Version: 21}},
	}
}

// node builds a node; ins and outs are names with spaces between, "-" for an
// absent one.
func node(op, ins, outs string, attrs ...*pb.AttributeProto) *pb.NodeProto {
	return &pb.NodeProto{Name: "n_" + op + "_" + outs, OpType: op, Input: list(ins), Output: list(outs), Attribute: attrs}
}

func list(s string) []string {
	names := strings.Fields(s)
	for i, n := range names {
		if n == "-" {
			names[i] = ""
		}
	}
	return names
}

// info describes a value; dims are ints and names.
func info(name string, t graph.DType, dims ...any) *pb.ValueInfoProto {
	shape := &pb.TensorShapeProto{}
	for _, d := range dims {
		dim := &pb.TensorShapeProto_Dimension{}
		switch d := d.(type) {
		case int:
			dim.Value = &pb.TensorShapeProto_Dimension_DimValue{DimValue: int64(d)}
		case string:
			dim.Value = &pb.TensorShapeProto_Dimension_DimParam{DimParam: d}
		}
		shape.Dim = append(shape.Dim, dim)
	}
	return &pb.ValueInfoProto{Name: name, Type: &pb.TypeProto{Value: &pb.TypeProto_TensorType{
		TensorType: &pb.TypeProto_Tensor{ElemType: int32(t), Shape: shape},
	}}}
}

func intAttr(name string, v int64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_INT, I: &v}
}

func graphAttr(name string, g *pb.GraphProto) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_GRAPH, G: g}
}

// tensorProto builds a TensorProto from dims, a dtype number and more fields.
func tensorProto(name string, dtype int64, dims []int64, more ...func(*pieces)) []byte {
	p := &pieces{}
	for _, d := range dims {
		p.varint(tensorDims, d)
	}
	p.varint(tensorDataType, dtype)
	p.bytes(tensorName, []byte(name))
	for _, f := range more {
		f(p)
	}
	return slices.Concat(p.list...)
}

// data sets a field to bytes: raw_data, or a packed typed field.
func data(num protowire.Number, b ...byte) func(*pieces) {
	return func(p *pieces) { p.bytes(num, b) }
}

// external makes a tensor external; entries are keys and values in turn.
func external(entries ...string) func(*pieces) {
	return func(p *pieces) {
		for i := 0; i < len(entries); i += 2 {
			q := &pieces{}
			q.bytes(1, []byte(entries[i]))
			q.bytes(2, []byte(entries[i+1]))
			p.message(tensorExternalData, q)
		}
		p.varint(tensorLocation, 1)
	}
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, m *pb.ModelProto) *Model {
	t.Helper()
	got, err := Decode("m.onnx", encode(t, m), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Verify(got.Graph); err != nil {
		t.Fatal(err)
	}
	return got
}

// refuses fails unless err is of a kind and its text has all the parts.
func refuses(t testing.TB, err, kind error, parts ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got error %v, want one that is %q", err, kind)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not have %q", err, p)
		}
	}
}

func refusesModel(t testing.TB, m *pb.ModelProto, kind error, parts ...string) {
	t.Helper()
	_, err := Decode("m.onnx", encode(t, m), Options{})
	refuses(t, err, kind, append(parts, "m.onnx: ")...)
}

func write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// marshal returns a model as bytes, its weights included.
func marshal(m *Model) ([]byte, error) {
	var b bytes.Buffer
	err := Write(&b, m, SaveOptions{})
	return b.Bytes(), err
}
