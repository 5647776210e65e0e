package onnx

import (
	"testing"

	"mnnconv/schemas/onnx/internal/pb"
)

// TestVersions gives versions that are missing, wrong or too new (fault F08).
func TestVersions(t *testing.T) {
	opsets := func(list ...*pb.OperatorSetIdProto) func(*pb.ModelProto) {
		return func(m *pb.ModelProto) { m.OpsetImport = list }
	}
	for _, c := range []struct {
		name  string
		edit  func(*pb.ModelProto)
		kind  error // nil: loads
		parts []string
	}{
		{"ir 3", func(m *pb.ModelProto) { m.IrVersion = 3 }, nil, nil},
		{"ir 14", func(m *pb.ModelProto) { m.IrVersion = 14 }, nil, nil},
		{"ir missing", func(m *pb.ModelProto) { m.IrVersion = 0 }, ErrMalformed, []string{"3 to 14"}},
		{"ir negative", func(m *pb.ModelProto) { m.IrVersion = -1 }, ErrMalformed, []string{"-1", "3 to 14"}},
		{"ir 2", func(m *pb.ModelProto) { m.IrVersion = 2 }, ErrUnsupported, []string{"IR version 2", "3 to 14"}},
		{"ir 15", func(m *pb.ModelProto) { m.IrVersion = 15 }, ErrUnsupported, []string{"IR version 15", "3 to 14"}},
		{"no opset", opsets(), ErrMalformed, []string{"1 to 27"}},
		{"opset 0", opsets(&pb.OperatorSetIdProto{}), ErrMalformed, []string{"opset 0 of ai.onnx", "1 to 27"}},
		{"opset negative", opsets(&pb.OperatorSetIdProto{Version: -3}), ErrMalformed, []string{"opset -3", "1 to 27"}},
		{"opset 27", opsets(&pb.OperatorSetIdProto{Version: 27}), nil, nil},
		{"opset 28", opsets(&pb.OperatorSetIdProto{Version: 28}), ErrUnsupported, []string{"opset 28 of ai.onnx", "1 to 27"}},
		{"ai.onnx spelled out", opsets(&pb.OperatorSetIdProto{Domain: "ai.onnx", Version: 28}), ErrUnsupported, []string{"opset 28 of ai.onnx"}},
		{"two opsets", opsets(&pb.OperatorSetIdProto{Version: 20}, &pb.OperatorSetIdProto{Domain: "ai.onnx", Version: 21}), ErrMalformed, []string{"opsets 20 and 21 of ai.onnx"}},
		{"one opset twice", opsets(&pb.OperatorSetIdProto{Version: 20}, &pb.OperatorSetIdProto{Version: 20}), nil, nil},
		{"unknown domain", opsets(&pb.OperatorSetIdProto{Version: 20}, &pb.OperatorSetIdProto{Domain: "com.example", Version: 900}), nil, nil},
		{"unknown domain, version 0", opsets(&pb.OperatorSetIdProto{Version: 20}, &pb.OperatorSetIdProto{Domain: "com.example"}), ErrMalformed, []string{`domain "com.example"`}},
		{"only another domain", opsets(&pb.OperatorSetIdProto{Domain: "com.example", Version: 1}), ErrMalformed, []string{`"n_Neg_y" (Neg)`, "no version of ai.onnx is imported"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel(node("Neg", "x", "y"))
			c.edit(m)
			if c.kind == nil {
				decode(t, m)
				return
			}
			refusesModel(t, m, c.kind, c.parts...)
		})
	}
}

// TestModelFields reads what a model says about itself, and keeps a node of an
// unknown domain for the operator table to refuse.
func TestModelFields(t *testing.T) {
	p := newModel(node("Foo", "x", "y"))
	p.Graph.Node[0].Domain = "com.example"
	p.Graph.DocString, p.Graph.MetadataProps = "a graph", []*pb.StringStringEntryProto{{Key: "a", Value: "b"}}
	p.OpsetImport = append(p.OpsetImport, &pb.OperatorSetIdProto{Domain: "com.example", Version: 3})
	p.ProducerName, p.ProducerVersion, p.Domain, p.DocString, p.ModelVersion = "maker", "1.2", "org.example", "a model", 7
	p.MetadataProps = []*pb.StringStringEntryProto{{Key: "license", Value: "none"}}
	m := decode(t, p)
	if m.Producer != "maker" || m.ProducerVersion != "1.2" || m.Domain != "org.example" || m.Doc != "a model" ||
		m.Version != 7 || m.IRVersion != 10 || m.Opsets[""] != 21 || m.Meta["license"] != "none" || m.Size != int64(len(encode(t, p))) {
		t.Errorf("model %+v", m)
	}
	n := m.Graph.Nodes[0]
	if n.OpName() != "com.example.Foo" || n.Version != 3 || m.Graph.Doc != "a graph" || m.Graph.Meta["a"] != "b" {
		t.Errorf("graph %+v, node %+v", m.Graph, n)
	}
	roundTrip(t, m, SaveOptions{})

	p.Graph = nil
	refusesModel(t, p, ErrMalformed, "no graph")
}
