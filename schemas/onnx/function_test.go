package onnx

import (
	"fmt"
	"strings"
	"testing"

	"mnnconv/graph"
	"mnnconv/schemas/onnx/internal/pb"
)

// call is a node that calls a function of domain "local".
func callNode(name, op, ins, outs string, attrs ...*pb.AttributeProto) *pb.NodeProto {
	n := node(op, ins, outs, attrs...)
	n.Name, n.Domain = name, "local"
	return n
}

func functionProto(name, ins, outs string, nodes ...*pb.NodeProto) *pb.FunctionProto {
	return &pb.FunctionProto{
		Name: name, Domain: "local", Input: list(ins), Output: list(outs), Node: nodes,
		OpsetImport: []*pb.OperatorSetIdProto{{Version: 18}, {Domain: "local", Version: 1}},
	}
}

func withFunctions(m *pb.ModelProto, functions ...*pb.FunctionProto) *pb.ModelProto {
	m.Functions = functions
	m.OpsetImport = append(m.OpsetImport, &pb.OperatorSetIdProto{Domain: "local", Version: 1})
	return m
}

func refTo(name, ref string, typ pb.AttributeProto_AttributeType) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, RefAttrName: ref, Type: typ}
}

// show writes a graph as one line a node.
func show(g *graph.Graph) string {
	var b strings.Builder
	names := func(list []*graph.Value) string {
		var s []string
		for _, v := range list {
			if v == nil {
				s = append(s, "-")
			} else {
				s = append(s, v.Name)
			}
		}
		return strings.Join(s, " ")
	}
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "%s = %s-%d(%s)", names(n.Outputs), n.OpName(), n.Version, names(n.Inputs))
		for _, a := range n.Attrs {
			fmt.Fprintf(&b, " %s=%v", a.Name, a.Value)
		}
		b.WriteString("\n")
		for _, body := range n.Bodies {
			b.WriteString(body.Attr + "(" + names(body.Outer) + "):\n" + show(body.Graph))
		}
	}
	return b.String()
}

func TestInline(t *testing.T) {
	axis := pb.AttributeProto_INT
	for _, c := range []struct {
		name      string
		nodes     []*pb.NodeProto
		functions []*pb.FunctionProto
		want      string
	}{
		{"nodes, names and versions", []*pb.NodeProto{callNode("p", "F", "x", "h"), callNode("p", "F", "h", "y")},
			[]*pb.FunctionProto{functionProto("F", "a", "b", node("Neg", "a", "t"), node("Add", "t a", "b"))},
			"p/t = Neg-18(x)\nh = Add-18(p/t x)\np/t~2 = Neg-18(h)\ny = Add-18(p/t~2 h)\n"},
		{"a call without a name", []*pb.NodeProto{callNode("", "F", "x", "y")},
			[]*pb.FunctionProto{functionProto("F", "a", "b", node("Neg", "a", "t"), node("Add", "t a", "b"))},
			"y/t = Neg-18(x)\ny = Add-18(y/t x)\n"},
		{"a name that is taken", []*pb.NodeProto{node("Abs", "x", "p/t"), callNode("p", "F", "p/t", "y")},
			[]*pb.FunctionProto{functionProto("F", "a", "b", node("Neg", "a", "t"), node("Add", "t a", "b"))},
			"p/t = Abs-21(x)\np/t~2 = Neg-18(p/t)\ny = Add-18(p/t~2 p/t)\n"},
		{"calls in functions, defined in any order", []*pb.NodeProto{callNode("p", "G", "x", "y")},
			[]*pb.FunctionProto{
				functionProto("G", "a", "b", callNode("q", "F", "a", "t"), callNode("r", "F", "t", "b")),
				functionProto("F", "a", "b", node("Neg", "a", "t"), node("Abs", "t", "b")),
			},
			"p/q/t = Neg-18(x)\np/t = Abs-18(p/q/t)\np/r/t = Neg-18(p/t)\ny = Abs-18(p/r/t)\n"},
		{"absent input and output", []*pb.NodeProto{callNode("p", "F", "x", "- y")},
			[]*pb.FunctionProto{functionProto("F", "a b c", "u v w", node("Clip", "a b c", "v"), node("Neg", "a", "u"), node("Abs", "a", "w"))},
			"y = Clip-18(x - -)\np/u = Neg-18(x)\np/w = Abs-18(x)\n"},
		{"output is an input", []*pb.NodeProto{callNode("p", "F", "x", "y")},
			[]*pb.FunctionProto{functionProto("F", "a", "a")},
			"y = Identity-18(x)\n"},
		{"attributes: given, by default, absent", []*pb.NodeProto{callNode("p", "F", "x", "y", intAttr("given", 7))},
			[]*pb.FunctionProto{func() *pb.FunctionProto {
				f := functionProto("F", "a", "b", node("Softmax", "a", "b", refTo("axis", "given", axis), refTo("def", "def", axis), refTo("absent", "absent", 0)))
				f.Attribute = []string{"given", "absent"}
				f.AttributeProto = []*pb.AttributeProto{intAttr("def", 9)}
				return f
			}()},
			"y = Softmax-18(x) axis=7 def=9\n"},
		{"a default that the call overrides", []*pb.NodeProto{callNode("p", "F", "x", "y", intAttr("def", 1))},
			[]*pb.FunctionProto{func() *pb.FunctionProto {
				f := functionProto("F", "a", "b", node("Softmax", "a", "b", refTo("axis", "def", axis)))
				f.AttributeProto = []*pb.AttributeProto{intAttr("def", 9)}
				return f
			}()},
			"y = Softmax-18(x) axis=1\n"},
		{"attributes passed on", []*pb.NodeProto{callNode("p", "G", "x", "y", intAttr("k", 5))},
			[]*pb.FunctionProto{
				func() *pb.FunctionProto {
					f := functionProto("G", "a", "b", callNode("q", "F", "a", "b", refTo("n", "k", axis)))
					f.Attribute = []string{"k"}
					return f
				}(),
				func() *pb.FunctionProto {
					f := functionProto("F", "a", "b", node("Softmax", "a", "b", refTo("axis", "n", axis)))
					f.Attribute = []string{"n"}
					return f
				}(),
			},
			"y = Softmax-18(x) axis=5\n"},
		{"a body in a function", []*pb.NodeProto{node("Abs", "x", "t"), callNode("p", "F", "t", "y", intAttr("k", 5))},
			[]*pb.FunctionProto{func() *pb.FunctionProto {
				f := functionProto("F", "a", "b", node("Neg", "a", "t"), node("If", "t", "b",
					graphAttr("then_branch", branch("t", node("Softmax", "t", "r", refTo("axis", "k", axis))))))
				f.Attribute = []string{"k"}
				return f
			}()},
			"t = Abs-21(x)\np/t = Neg-18(t)\ny = If-18(p/t)\nthen_branch(p/t):\np/r = Softmax-18(p/t) axis=5\n"},
		{"a call in a body", []*pb.NodeProto{node("If", "c", "y", graphAttr("then_branch", branch("t", callNode("p", "F", "x", "r"))))},
			[]*pb.FunctionProto{functionProto("F", "a", "b", node("Neg", "a", "t"), node("Abs", "t", "b"))},
			"y = If-21(c)\nthen_branch(x):\np/t = Neg-18(x)\nr = Abs-18(p/t)\n"},
		{"a call before its input", []*pb.NodeProto{callNode("p", "F", "h", "y"), node("Abs", "x", "h")},
			[]*pb.FunctionProto{functionProto("F", "a", "b", node("Neg", "a", "b"))},
			"h = Abs-21(x)\ny = Neg-18(h)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := withFunctions(newModel(c.nodes...), c.functions...)
			p.Graph.Input = append(p.Graph.Input, info("c", graph.Bool))
			m := decode(t, p)
			if got := show(m.Graph); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// TestKeptFunction keeps calls of mnnconv's own functions as nodes.
func TestKeptFunction(t *testing.T) {
	f := functionProto("Copy", "a", "b", node("Identity", "a", "b"))
	f.Domain = "mnnconv"
	n := node("Copy", "x", "y")
	n.Domain = "mnnconv"
	p := withFunctions(newModel(n), f)
	p.OpsetImport = append(p.OpsetImport, &pb.OperatorSetIdProto{Domain: "mnnconv", Version: 1})
	m, err := Decode("m.onnx", encode(t, p), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := show(m.Graph); got != "y = mnnconv.Copy-1(x)\n" {
		t.Error(got)
	}
}

// TestBadFunctions calls functions in rings (fault F12), and wrongly.
func TestBadFunctions(t *testing.T) {
	call := func(op string) *pb.NodeProto { return callNode("p", op, "a", "b") }
	twins := []*pb.FunctionProto{functionProto("F", "a", "b", node("Neg", "a", "b")), functionProto("F", "a", "b", node("Neg", "a", "b"))}
	var chain []*pb.FunctionProto
	for i := range 40 {
		chain = append(chain, functionProto(fmt.Sprint("F", i), "a", "b", call(fmt.Sprint("F", i+1))))
	}
	var doubling []*pb.FunctionProto
	for i := range 30 {
		doubling = append(doubling, functionProto(fmt.Sprint("F", i), "a", "b",
			callNode("p", fmt.Sprint("F", i+1), "a", "t"), callNode("q", fmt.Sprint("F", i+1), "t", "b")))
	}
	doubling = append(doubling, functionProto("F30", "a", "b", node("Neg", "a", "b")))
	for _, c := range []struct {
		name      string
		call      *pb.NodeProto
		functions []*pb.FunctionProto
		kind      error
		parts     []string
	}{
		{"calls itself", callNode("p", "F", "x", "y"), []*pb.FunctionProto{functionProto("F", "a", "b", call("F"))}, ErrMalformed, []string{"in a ring: local.F → local.F"}},
		{"ring", callNode("p", "F", "x", "y"), []*pb.FunctionProto{functionProto("F", "a", "b", call("G")), functionProto("G", "a", "b", call("H")), functionProto("H", "a", "b", call("G"))},
			ErrMalformed, []string{"in a ring: local.G → local.H → local.G"}},
		{"ring that nobody calls", node("Neg", "x", "y"), []*pb.FunctionProto{functionProto("F", "a", "b", call("F"))}, ErrMalformed, []string{"local.F → local.F"}},
		{"ring inside If", callNode("p", "F", "x", "y"), []*pb.FunctionProto{functionProto("F", "a", "b",
			node("If", "a", "b", graphAttr("then_branch", branch("t", call("F")))))}, ErrMalformed, []string{"local.F → local.F"}},
		{"long chain", callNode("p", "F0", "x", "y"), chain, ErrLimit, []string{"nested more than 32"}},
		{"two of one name", callNode("p", "F", "x", "y"), twins, ErrMalformed, []string{"function local.F: defined twice"}},
		{"too many inputs", callNode("p", "F", "x x", "y"), twins[:1], ErrMalformed, []string{"called with 2 inputs and 1 outputs, it has 1 and 1"}},
		{"too many outputs", callNode("p", "F", "x", "y z"), twins[:1], ErrMalformed, []string{"1 inputs and 2 outputs"}},
		{"output never produced", callNode("p", "F", "x", "y"), []*pb.FunctionProto{functionProto("F", "a", "b", node("Neg", "a", "c"))}, ErrMalformed, []string{`output "b" is never produced`}},
		{"sees the graph's values", callNode("p", "F", "x", "y"), []*pb.FunctionProto{functionProto("F", "a", "b", node("Add", "a x", "b"))}, ErrMalformed, []string{`input 1 reads "x", which nothing produces`}},
		{"defines its input", callNode("p", "F", "x", "y"), []*pb.FunctionProto{functionProto("F", "a", "b", node("Neg", "a", "a"))}, ErrMalformed, []string{`defines "a"`}},
		{"defines its output twice", callNode("p", "F", "x", "y"), []*pb.FunctionProto{functionProto("F", "a", "b", node("Neg", "a", "b"), node("Abs", "a", "b"))}, ErrMalformed, []string{`"b" is defined twice`}},
		{"undeclared attribute", callNode("p", "F", "x", "y"), []*pb.FunctionProto{functionProto("F", "a", "b", node("Softmax", "a", "b", refTo("axis", "k", 0)))}, ErrMalformed,
			[]string{`attribute "axis": refers to attribute "k", which the function does not declare`}},
		{"attribute of another type", callNode("p", "F", "x", "y", intAttr("k", 1)), []*pb.FunctionProto{func() *pb.FunctionProto {
			f := functionProto("F", "a", "b", node("Softmax", "a", "b", refTo("axis", "k", pb.AttributeProto_FLOAT)))
			f.Attribute = []string{"k"}
			return f
		}()}, ErrMalformed, []string{"is a FLOAT, but refers to \"k\", which is a INT"}},
		{"reference outside of a function", node("Softmax", "x", "y", refTo("axis", "k", 0)), nil, ErrMalformed, []string{"is not in a function"}},
		{"no opset", callNode("p", "F", "x", "y"), []*pb.FunctionProto{{Name: "F", Domain: "local", Input: list("a"), Output: list("b"), Node: []*pb.NodeProto{node("Neg", "a", "b")}}},
			ErrMalformed, []string{"no version of ai.onnx is imported"}},
		{"opset too new", callNode("p", "F", "x", "y"), []*pb.FunctionProto{{Name: "F", Domain: "local", OpsetImport: []*pb.OperatorSetIdProto{{Version: 30}}}},
			ErrUnsupported, []string{"function local.F: opset 30"}},
		{"calls double at each level", callNode("p", "F0", "x", "y"), doubling, ErrLimit, []string{"more than"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			refusesModel(t, withFunctions(newModel(c.call), c.functions...), c.kind, c.parts...)
		})
	}
}
