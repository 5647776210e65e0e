package onnx

import (
	"fmt"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// TestSymbols gives every unknown extent a symbol of its own: names of extents
// are hints.
func TestSymbols(t *testing.T) {
	p := newModel(node("Add", "x a*b", "h"), node("If", "c", "y",
		graphAttr("then_branch", branch("t", node("Neg", "h", "r"))), graphAttr("else_branch", branch("e", node("Abs", "h", "r")))))
	p.Graph.Input = append(p.Graph.Input, info("a*b", graph.Float32, "n", "4*n", nil, 3), info("c", graph.Bool))
	for _, a := range p.Graph.Node[1].Attribute {
		a.G.ValueInfo = []*pb.ValueInfoProto{info("r", graph.Float32, "n")}
	}
	m := decode(t, p)
	if got := fmt.Sprintf("%s %q", m.Graph.Inputs[1].Type, m.Graph.Inputs[1].Hints); got != `float32[a_b.0, a_b.1, a_b.2, 3] ["n" "4*n" "" ""]` {
		t.Error(got)
	}
	seen := map[string]bool{}
	var walk func(g *graph.Graph)
	add := func(v *graph.Value) {
		for _, d := range v.Type.Shape {
			if s, ok := d.Symbol(); ok {
				if seen[s] {
					t.Errorf("symbol %s stands for two extents", s)
				}
				seen[s] = true
			}
		}
	}
	walk = func(g *graph.Graph) {
		for _, v := range g.Inputs {
			add(v)
		}
		for _, n := range g.Nodes {
			for _, v := range n.Outputs {
				add(v)
			}
			for _, b := range n.Bodies {
				walk(b.Graph)
			}
		}
	}
	walk(m.Graph)
	if len(seen) != 7 {
		t.Errorf("%d symbols: %v", len(seen), seen)
	}
	roundTrip(t, m, SaveOptions{})
}

// TestMeaningfulDims writes dims that are not import's own as they are.
func TestMeaningfulDims(t *testing.T) {
	m := decode(t, newModel(node("Neg", "x", "y")))
	m.Graph.Inputs[0].Type.Shape = graph.Shape{graph.Sym("tokens").Mul(graph.Const(4)).Add(graph.Const(1)), graph.Sym("tokens")}
	b, err := marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode("m.onnx", b, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%q", again.Graph.Inputs[0].Hints); got != `["4*tokens + 1" "tokens"]` {
		t.Errorf("extents were written as %s", got)
	}
}

func TestTypes(t *testing.T) {
	tensor := info("", graph.Int64, 2).Type
	sequence := &pb.TypeProto{Value: &pb.TypeProto_SequenceType{SequenceType: &pb.TypeProto_Sequence{ElemType: tensor}}}
	shape := func(dims ...any) *pb.TypeProto { return info("", graph.Float32, dims...).Type }
	var many []any
	for range 65 {
		many = append(many, 1)
	}
	for _, c := range []struct {
		name string
		typ  *pb.TypeProto
		want string // the type, or part of the error
		kind error
	}{
		{"tensor", tensor, "int64[2]", nil},
		{"scalar", shape(), "float32[]", nil},
		{"no shape", &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: &pb.TypeProto_Tensor{ElemType: 16}}}, "bfloat16[?]", nil},
		{"no extents", shape(0, 3), "float32[0, 3]", nil},
		{"sequence", sequence, "sequence(int64[2])", nil},
		{"optional sequence", &pb.TypeProto{Value: &pb.TypeProto_OptionalType{OptionalType: &pb.TypeProto_Optional{ElemType: sequence}}}, "optional(sequence(int64[2]))", nil},
		{"negative extent", shape(2, -1), "extent 1 is -1", ErrMalformed},
		{"large extent", shape(1<<63 - 1), "64 bits", ErrMalformed},
		{"product wraps", shape(1<<62, 4), "64 bits", ErrMalformed},
		{"product wraps behind a zero", shape(0, 1<<62, 4), "64 bits", ErrMalformed},
		{"rank 65", shape(many...), "65 extents, the limit is 64", ErrLimit},
		{"dtype 99", info("", 99).Type, "dtype 99", ErrUnsupported},
		{"float6", info("", 27).Type, "float6e2m3", ErrUnsupported},
		{"map", &pb.TypeProto{Value: &pb.TypeProto_MapType{MapType: &pb.TypeProto_Map{}}}, "maps", ErrUnsupported},
		{"sparse", &pb.TypeProto{Value: &pb.TypeProto_SparseTensorType{SparseTensorType: &pb.TypeProto_SparseTensor{}}}, "sparse", ErrUnsupported},
		{"opaque", &pb.TypeProto{Value: &pb.TypeProto_OpaqueType{OpaqueType: &pb.TypeProto_Opaque{}}}, "opaque", ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newModel(node("Neg", "x", "y"))
			p.Graph.Input[0].Type = c.typ
			if c.kind != nil {
				refusesModel(t, p, c.kind, `value "x"`, c.want)
				return
			}
			m := decode(t, p)
			if got := m.Graph.Inputs[0].Type.String(); got != c.want {
				t.Errorf("type %s, want %s", got, c.want)
			}
			roundTrip(t, m, SaveOptions{})
		})
	}
}
