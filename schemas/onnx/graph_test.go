package onnx

import (
	"errors"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

func branch(name string, nodes ...*pb.NodeProto) *pb.GraphProto {
	return &pb.GraphProto{Name: name, Node: nodes, Output: []*pb.ValueInfoProto{{Name: nodes[len(nodes)-1].Output[0]}}}
}

func loopBody(nodes ...*pb.NodeProto) *pb.GraphProto {
	return &pb.GraphProto{
		Name:   "body",
		Input:  []*pb.ValueInfoProto{{Name: "i"}, {Name: "go"}, {Name: "acc"}},
		Node:   append([]*pb.NodeProto{node("Identity", "go", "again")}, nodes...),
		Output: []*pb.ValueInfoProto{{Name: "again"}, {Name: "sum"}},
	}
}

// TestStructure breaks the rules of a graph's structure: names defined twice
// (fault F09), rings (F10), values never produced (F11), bodies (F13).
func TestStructure(t *testing.T) {
	one := func(name string) []byte { return tensorProto(name, 1, nil, data(tensorRawData, 0, 0, 128, 63)) }
	deep := node("Neg", "x", "d0")
	for i := range 40 {
		b := branch("b", deep)
		deep = node("If", "c", "d"+strings.Repeat("x", i+1), graphAttr("then_branch", b))
	}
	for _, c := range []struct {
		name  string
		nodes []*pb.NodeProto
		edit  func(*pb.GraphProto)
		kind  error
		parts []string
	}{
		{"two nodes, one output", []*pb.NodeProto{node("Neg", "x", "y"), node("Abs", "x", "y")}, nil, ErrMalformed,
			[]string{`"n_Abs_y" (Abs) defines "y"`, `"n_Neg_y" (Neg) defines already`}},
		{"one node, one output twice", []*pb.NodeProto{node("Split", "x", "y y")}, nil, ErrMalformed, []string{`defines "y", which`}},
		{"output is a graph input", []*pb.NodeProto{node("Neg", "x", "x")}, nil, ErrMalformed, []string{`defines "x", which a graph input defines already`}},
		{"output is an initializer", []*pb.NodeProto{node("Neg", "x", "w")}, func(g *pb.GraphProto) { g.Initializer = [][]byte{one("w")} }, ErrMalformed,
			[]string{`defines "w", which an initializer defines already`}},
		{"two initializers", []*pb.NodeProto{node("Neg", "x", "y")}, func(g *pb.GraphProto) { g.Initializer = [][]byte{one("w"), one("w")} }, ErrMalformed,
			[]string{`defines "w"`}},
		{"two inputs", []*pb.NodeProto{node("Neg", "x", "y")}, func(g *pb.GraphProto) { g.Input = append(g.Input, g.Input[0]) }, ErrMalformed, []string{`defines "x"`}},
		{"shadowed in a body", []*pb.NodeProto{node("If", "c", "y", graphAttr("then_branch", branch("t", node("Neg", "x", "h")))), node("Abs", "x", "h")}, nil, ErrMalformed,
			[]string{`"n_If_y" (If)`, `"n_Neg_h" (Neg) defines "h"`, `"n_Abs_h" (Abs)`, "in the graph around"}},
		{"self-loop", []*pb.NodeProto{node("Add", "x y", "y")}, nil, graph.ErrCycle, []string{`"n_Add_y" (Add) → node "n_Add_y" (Add)`}},
		{"ring", []*pb.NodeProto{node("Add", "x b", "a"), node("Neg", "a", "b"), node("Abs", "b", "y")}, nil, graph.ErrCycle,
			[]string{`node "n_Neg_b" (Neg) → node "n_Add_a" (Add) → node "n_Neg_b" (Neg)`}},
		{"ring through a body", []*pb.NodeProto{node("If", "c", "y", graphAttr("then_branch", branch("t", node("Neg", "y", "h"))))}, nil, graph.ErrCycle, []string{`(If) → `}},
		{"input nothing produces", []*pb.NodeProto{node("Add", "x z", "y")}, nil, ErrMalformed, []string{`"n_Add_y" (Add): input 1 reads "z", which nothing produces`}},
		{"a body's value is not seen outside", []*pb.NodeProto{node("If", "c", "q", graphAttr("then_branch", branch("t", node("Neg", "x", "h")))), node("Abs", "h", "y")}, nil, ErrMalformed,
			[]string{`input 0 reads "h"`}},
		{"output nothing produces", []*pb.NodeProto{node("Neg", "x", "z")}, nil, ErrMalformed, []string{`graph output 0, "y", is never produced`}},
		{"output without a name", []*pb.NodeProto{node("Neg", "x", "-")}, func(g *pb.GraphProto) { g.Output[0].Name = "" }, ErrMalformed, []string{`graph output 0, "", is never produced`}},
		{"input without a name", []*pb.NodeProto{node("Neg", "x", "y")}, func(g *pb.GraphProto) { g.Input[0].Name = "" }, ErrMalformed, []string{"a graph input has no name"}},
		{"input without a type", []*pb.NodeProto{node("Neg", "x", "y")}, func(g *pb.GraphProto) { g.Input[0].Type = nil }, ErrMalformed, []string{`"x" has no type`}},
		{"node without an operator", []*pb.NodeProto{{Input: []string{"x"}, Output: []string{"y"}}}, nil, ErrMalformed, []string{"has no operator"}},
		{"nested too deep", []*pb.NodeProto{deep}, nil, ErrLimit, []string{"nested more than 32 deep"}},
		{"If without outputs", []*pb.NodeProto{node("If", "c", "y", graphAttr("then_branch", &pb.GraphProto{Name: "t"}))}, nil, ErrMalformed,
			[]string{`"then_branch" has 0 inputs and 0 outputs, must have 0 and 1`}},
		{"Loop without the carried output", []*pb.NodeProto{node("Loop", "t c x", "y", graphAttr("body", &pb.GraphProto{
			Input: []*pb.ValueInfoProto{{Name: "i"}, {Name: "go"}, {Name: "acc"}}, Output: []*pb.ValueInfoProto{{Name: "go"}}}))}, nil, ErrMalformed,
			[]string{"3 inputs and 1 outputs, must have 3 and at least 2"}},
		{"Loop without the carried input", []*pb.NodeProto{node("Loop", "t c x", "y", graphAttr("body", &pb.GraphProto{
			Input: []*pb.ValueInfoProto{{Name: "i"}, {Name: "go"}}, Output: []*pb.ValueInfoProto{{Name: "go"}, {Name: "i"}}}))}, nil, ErrMalformed,
			[]string{"2 inputs and 2 outputs, must have 3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel(c.nodes...)
			m.Graph.Input = append(m.Graph.Input, info("c", graph.Bool), info("t", graph.Int64))
			if c.edit != nil {
				c.edit(m.Graph)
			}
			refusesModel(t, m, c.kind, c.parts...)
			if errors.Is(c.kind, graph.ErrCycle) {
				refusesModel(t, m, ErrMalformed)
			}
		})
	}
}

// TestLongRing shows only some of the nodes of a long ring.
func TestLongRing(t *testing.T) {
	var nodes []*pb.NodeProto
	name := func(i int) string {
		return "v" + strings.Repeat("i", i%7) + string(rune('a'+i/7%26)) + string(rune('a'+i/182))
	}
	const n = 2000
	for i := range n {
		nodes = append(nodes, node("Neg", name((i+1)%n), name(i)))
	}
	m := newModel(append(nodes, node("Neg", "x", "y"))...)
	_, err := Decode("m.onnx", encode(t, m), Options{})
	refuses(t, err, graph.ErrCycle, "…")
	if len(err.Error()) > 1000 {
		t.Errorf("the message has %d bytes", len(err.Error()))
	}
}

// TestUnsorted loads nodes in the wrong order; a right order stays as it is.
func TestUnsorted(t *testing.T) {
	m := decode(t, newModel(node("Abs", "b", "y"), node("Neg", "a", "b"), node("Exp", "x", "a")))
	var ops []string
	for _, n := range m.Graph.Nodes {
		ops = append(ops, n.Op)
	}
	if got := strings.Join(ops, " "); got != "Exp Neg Abs" {
		t.Errorf("order %s", got)
	}
}

// TestOptional reads absent inputs and outputs as nil.
func TestOptional(t *testing.T) {
	m := decode(t, newModel(node("Clip", "x - x", "- y")))
	n := m.Graph.Nodes[0]
	if len(n.Inputs) != 3 || n.Inputs[1] != nil || len(n.Outputs) != 2 || n.Outputs[0] != nil || n.Outputs[1].Index != 1 {
		t.Errorf("inputs %v, outputs %v", n.Inputs, n.Outputs)
	}
	roundTrip(t, m, SaveOptions{})
}

// TestDefaults lets an initializer win over the graph input of its name.
func TestDefaults(t *testing.T) {
	p := newModel(node("Mul", "x w", "y"))
	p.IrVersion = 3
	p.Graph.Input = append(p.Graph.Input, info("w", graph.Float32))
	p.Graph.Initializer = [][]byte{tensorProto("w", 1, nil, data(tensorRawData, 0, 0, 128, 63))}
	m := decode(t, p)
	if len(m.Graph.Inputs) != 1 || m.Graph.Nodes[0].Inputs[1].Const == nil {
		t.Errorf("inputs %v", m.Graph.Inputs)
	}
}

// TestHidden: initializers and inputs of a body hide values around it that bear
// their names, as in onnxruntime, whose optimiser writes such bodies.
func TestHidden(t *testing.T) {
	one := func(name string) []byte { return tensorProto(name, 1, nil, data(tensorRawData, 0, 0, 128, 63)) }
	body := loopBody(node("Add", "acc w", "sum"))
	body.Initializer = [][]byte{one("w")}
	p := newModel(node("Abs", "x", "acc"), node("Loop", "t - acc", "z", graphAttr("body", body)), node("Add", "z w", "y"))
	p.Graph.Input = append(p.Graph.Input, info("t", graph.Int64))
	p.Graph.Initializer = [][]byte{one("w")}
	m := decode(t, p)
	loop := m.Graph.Nodes[1].Body("body")
	add := loop.Graph.Nodes[1]
	if len(loop.Outer) != 0 || add.Inputs[0] != loop.Graph.Inputs[2] || add.Inputs[1].Const == nil || add.Inputs[1] == m.Graph.Nodes[2].Inputs[1] {
		t.Errorf("the body captures %v and adds %v", loop.Outer, add.Inputs)
	}
	if add.Inputs[0].Name == "acc" || add.Inputs[1].Name == "w" {
		t.Errorf("names of the graph stand in the body: %q, %q", add.Inputs[0].Name, add.Inputs[1].Name)
	}
	roundTrip(t, m, SaveOptions{})
}

// TestCaptures makes what bodies read from outside explicit, through every
// level.
func TestCaptures(t *testing.T) {
	inner := branch("inner", node("Add", "x acc", "r"))
	body := loopBody(node("If", "c", "sum", graphAttr("then_branch", inner), graphAttr("else_branch", branch("other", node("Identity", "w", "r")))))
	p := newModel(node("Loop", "t - x", "y", graphAttr("body", body)))
	p.Graph.Input = append(p.Graph.Input, info("c", graph.Bool), info("t", graph.Int64))
	p.Graph.Initializer = [][]byte{tensorProto("w", 1, nil, data(tensorRawData, 0, 0, 128, 63))}
	m := decode(t, p)
	names := func(list []*graph.Value) string {
		var s []string
		for _, v := range list {
			s = append(s, v.Name)
		}
		return strings.Join(s, " ")
	}
	loop := m.Graph.Nodes[0].Body("body")
	branch := loop.Graph.Nodes[1].Body("then_branch")
	if got := names(loop.Outer); got != "c x w" || names(loop.Graph.Captures) != got {
		t.Errorf("the loop captures %s", got)
	}
	if got := names(branch.Outer); got != "x acc" {
		t.Errorf("the branch captures %s", got)
	}
	if loop.Outer[1] != m.Graph.Inputs[0] || branch.Outer[0] != loop.Graph.Captures[1] || branch.Outer[1] != loop.Graph.Inputs[2] {
		t.Error("captures do not stand for the values around")
	}
	if got := branch.Graph.Captures[0].Type.String(); got != "float32[2, x.1]" {
		t.Errorf("capture of x has type %s", got)
	}
	roundTrip(t, m, SaveOptions{})
}
