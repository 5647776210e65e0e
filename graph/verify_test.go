package graph

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// chain builds x → Relu → y → MatMul(w) → z, the graph that the cases break.
func chain() *Graph {
	g := New("chain")
	x := g.NewInput("x", TensorOf(Float32, "n", 2))
	w := g.NewConst("w", Floats([]float32{1, 2, 3, 4}, 2, 2))
	relu := g.NewNode("", "Relu", 14, []*Value{x}, "y")
	relu.Path = "block.act"
	mul := g.NewNode("", "MatMul", 13, []*Value{relu.Outputs[0], w}, "z")
	mul.Path = "block.proj"
	relu.Outputs[0].Type = TensorOf(Float32, "n", 2)
	mul.Outputs[0].Type = TensorOf(Float32, "n", 2)
	g.Append(relu, mul)
	g.Outputs = []*Value{mul.Outputs[0]}
	return g
}

// placedChain is chain with Relu on sim:0 and MatMul on cpu, and the copies
// that this needs.
func placedChain() *Graph {
	g := chain()
	relu, mul := g.Nodes[0], g.Nodes[1]
	there, back := copyTo(g, g.Inputs[0], "sim:0"), copyTo(g, relu.Outputs[0], Host)
	g.Inputs[0].Type.Space, mul.Outputs[0].Type.Space = Host, Host
	relu.Outputs[0].Type.Space, back.Inputs[0].Type.Space = "sim:0", "sim:0"
	relu.Target, mul.Target = "sim:0", "cpu"
	relu.Inputs[0], mul.Inputs[0] = there.Outputs[0], back.Outputs[0]
	g.Nodes = []*Node{there, relu, back, mul}
	return g
}

func copyTo(g *Graph, v *Value, to Space) *Node {
	n := g.NewNode("mnnconv", "Copy", 1, []*Value{v}, v.Name+"@"+string(to))
	n.Outputs[0].Type = v.Type
	n.Outputs[0].Type.Space = to
	return n
}

// loop is chain with an If whose branch captures y and w.
func loop() *Graph {
	g := chain()
	y, w := g.Nodes[0].Outputs[0], g.Nodes[1].Inputs[1]
	cond := g.NewInput("cond", TensorOf(Bool))
	b := New("branch")
	cy, cw := b.NewValue("y", y.Type), b.NewValue("w", w.Type)
	b.Captures = []*Value{cy, cw}
	add := b.NewNode("", "Add", 14, []*Value{cy, cw}, "sum")
	add.Outputs[0].Type = y.Type
	b.Append(add)
	b.Outputs = []*Value{add.Outputs[0]}
	n := g.NewNode("", "If", 16, []*Value{cond}, "chosen")
	n.Bodies = []*Body{{"then_branch", b, []*Value{y, w}}}
	n.Outputs[0].Type = y.Type
	g.Append(n)
	g.Outputs = append(g.Outputs, n.Outputs[0])
	return g
}

// placedLoop is loop with everything but inputs and outputs on sim:0.
func placedLoop() *Graph {
	g := loop()
	in := []*Node{copyTo(g, g.Inputs[0], "sim:0"), copyTo(g, g.Inputs[1], "sim:0")}
	for i, n := range in {
		g.Inputs[i].Type.Space = Host
		g.Replace(map[*Value]*Value{g.Inputs[i]: n.Outputs[0]})
		n.Inputs[0] = g.Inputs[i]
	}
	nodes := append(in, g.Nodes...)
	for _, n := range g.Nodes {
		n.Target = "sim:0"
		n.Outputs[0].Type.Space = "sim:0"
	}
	for i, v := range g.Outputs {
		c := copyTo(g, v, Host)
		nodes = append(nodes, c)
		g.Outputs[i] = c.Outputs[0]
	}
	g.Nodes = nodes
	return g
}

// stateful is placedChain with a cache on sim:0 that a node there updates.
func stateful() *Graph {
	g := placedChain()
	cache := g.NewInput("cache", TensorOf(Float32, 1, 8))
	add := g.NewNode("", "Add", 14, []*Value{cache, cache}, "cache.new")
	add.Target = "sim:0"
	cache.Type.Space = "sim:0"
	add.Outputs[0].Type = cache.Type
	g.Append(add)
	g.Outputs = append(g.Outputs, add.Outputs[0])
	g.States = []State{{cache, add.Outputs[0]}}
	return g
}

func TestVerifyAccepts(t *testing.T) {
	untyped := chain()
	untyped.Nodes[0].Outputs[0].Type = Type{}
	for name, g := range map[string]*Graph{
		"empty": New("empty"), "chain": chain(), "placed": placedChain(), "loop": loop(),
		"placed loop": placedLoop(), "state": stateful(), "not inferred yet": untyped,
	} {
		if err := Verify(g); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	node := func(g *Graph, i int) *Node { return g.Nodes[i] }
	out := func(g *Graph, i int) *Value { return g.Nodes[i].Outputs[0] }
	branch := func(g *Graph) *Body { return g.Nodes[2].Bodies[0] }
	for _, k := range []struct {
		name string
		base func() *Graph
		edit func(g *Graph)
		is   error
		want []string // every violation, in order; a part of each
	}{
		{"order", chain, func(g *Graph) { g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] }, ErrInvalid,
			[]string{`node "block.proj" (MatMul) reads value "y" before node "block.act" (Relu) defines it`}},
		{"self", chain, func(g *Graph) { node(g, 0).Inputs[0] = out(g, 0) }, ErrInvalid,
			[]string{`node "block.act" (Relu) reads value "y" before node "block.act" (Relu) defines it`}},
		{"removed producer", chain, func(g *Graph) { g.Nodes = g.Nodes[1:] }, ErrInvalid,
			[]string{`reads value "y" of node "block.act" (Relu), which is not in the graph`}},
		{"undefined", chain, func(g *Graph) { node(g, 0).Inputs[0] = g.NewValue("stray", TensorOf(Float32)) }, ErrInvalid,
			[]string{`node "block.act" (Relu) reads value "stray", which nothing defines`}},
		{"undefined output", chain, func(g *Graph) { g.Outputs[0] = g.NewValue("stray", TensorOf(Float32)) }, ErrInvalid,
			[]string{`graph output 0 reads value "stray", which nothing defines`}},
		{"nil output", chain, func(g *Graph) { g.Outputs[0] = nil }, ErrInvalid, []string{"graph output 0 is nil"}},
		{"nil input", chain, func(g *Graph) { g.Inputs = append(g.Inputs, nil) }, ErrInvalid, []string{"graph input 1 is nil"}},
		{"nil node", chain, func(g *Graph) { g.Nodes = append(g.Nodes, nil) }, ErrInvalid, []string{"node 2 of the list is nil"}},
		{"no operator", chain, func(g *Graph) { node(g, 0).Op = "" }, ErrInvalid, []string{`node "block.act" () has no operator`}},
		{"node twice", chain, func(g *Graph) { g.Nodes = append(g.Nodes, g.Nodes[0]) }, ErrInvalid,
			[]string{`node "block.act" (Relu) is in the list twice, at 0 and 2`}},
		{"input twice", chain, func(g *Graph) { g.Inputs = append(g.Inputs, g.Inputs[0]) }, ErrInvalid,
			[]string{`graph input defines value "x", which is defined already`}},
		{"input is output", chain, func(g *Graph) { g.Inputs = append(g.Inputs, out(g, 1)) }, ErrInvalid,
			[]string{`graph input "z" is also an output of node "block.proj" (MatMul)`, `defines value "z", which is defined already`}},
		{"input is constant", chain, func(g *Graph) { g.Inputs = append(g.Inputs, node(g, 1).Inputs[1]) }, ErrInvalid,
			[]string{`graph input "w" is also a constant`}},
		{"constant is output", chain, func(g *Graph) { v := out(g, 0); v.Const = Floats([]float32{1, 2}, 1, 2); v.Type = v.Const.Type() }, ErrInvalid,
			[]string{`constant "y" is also an output of node "block.act" (Relu)`}},
		{"two producers", chain, func(g *Graph) { node(g, 1).Outputs[0] = out(g, 0); g.Outputs[0] = out(g, 0) }, ErrInvalid,
			[]string{`output 0 of node "block.proj" (MatMul) is value "y", which says it is output 0 of node "block.act" (Relu)`, `defines value "y", which is defined already`}},
		{"wrong def", chain, func(g *Graph) { out(g, 0).Def = nil }, ErrInvalid,
			[]string{`output 0 of node "block.act" (Relu) is value "y", which says it is output 0 of no node`}},
		{"wrong index", chain, func(g *Graph) { out(g, 0).Index = 1 }, ErrInvalid, []string{`which says it is output 1 of node "block.act"`}},
		{"shared id", chain, func(g *Graph) { out(g, 0).ID = out(g, 1).ID }, ErrInvalid, []string{`values "y" and "z" share ID 3`}},
		{"id too large", chain, func(g *Graph) { out(g, 0).ID = 4 }, ErrInvalid, []string{`value "y" has ID 4, outside of the graph's 4`}},
		{"negative id", chain, func(g *Graph) { out(g, 0).ID = -1 }, ErrInvalid, []string{`value "y" has ID -1`}},
		{"shared name", chain, func(g *Graph) { out(g, 0).Name = "x" }, ErrInvalid, []string{`values 0 and 2 share the name "x"`}},
		{"no name", chain, func(g *Graph) { out(g, 0).Name = "" }, ErrInvalid, []string{`value 2 has no name`}},

		{"untyped input", chain, func(g *Graph) { g.Inputs[0].Type = Type{} }, ErrType, []string{`value "x" is a tensor of dtype undefined`}},
		{"bad dtype", chain, func(g *Graph) { out(g, 0).Type.DType = 99 }, ErrType, []string{`value "y" is a tensor of dtype dtype(99)`}},
		{"bad element", chain, func(g *Graph) { out(g, 0).Type = Type{Kind: SequenceKind, Elem: &Type{}} }, ErrType, []string{`value "y" is a tensor of dtype undefined`}},
		{"bad kind", chain, func(g *Graph) { out(g, 0).Type.Kind = 7 }, ErrType, []string{`value "y" has unknown kind 7`}},
		{"endless containers", chain, func(g *Graph) {
			e := &Type{Kind: SequenceKind}
			e.Elem = e
			out(g, 0).Type = *e
		}, ErrType, []string{`value "y" has containers nested more than 32 deep`}},
		{"negative extent", chain, func(g *Graph) { out(g, 0).Type = TensorOf(Float32, "n", -2) }, ErrType, []string{`value "y" has shape [n, -2] with a negative extent`}},
		{"constant's dtype", chain, func(g *Graph) { node(g, 1).Inputs[1].Type.DType = Float16 }, ErrType,
			[]string{`constant "w" is declared float16[2, 2], its data is float32[2, 2]`}},
		{"constant's shape", chain, func(g *Graph) { node(g, 1).Inputs[1].Type = TensorOf(Float32, 4) }, ErrType,
			[]string{`constant "w" is declared float32[4], its data is float32[2, 2]`}},
		{"constant's kind", chain, func(g *Graph) { node(g, 1).Inputs[1].Type = Type{Kind: OptionalKind} }, ErrType,
			[]string{`constant "w" is declared optional, its data is float32[2, 2]`}},
		{"constant's size", chain, func(g *Graph) { w := node(g, 1).Inputs[1].Const; w.Data = w.Data[:15] }, ErrType,
			[]string{`constant "w" is float32[2, 2], which does not go with 15 bytes and 0 strings of data`}},
		{"weight's size", chain, func(g *Graph) {
			w := node(g, 1).Inputs[1].Const
			w.Data, w.Source = nil, &Range{"weights", 0, 20}
		}, ErrType, []string{`constant "w" is float32[2, 2], which does not go with 20 bytes`}},

		{"no copy", placedChain, func(g *Graph) { node(g, 3).Inputs[0] = out(g, 1) }, ErrInvalid,
			[]string{`node "block.proj" (MatMul) on cpu reads value "y", which lives in sim:0: a Copy is missing`}},
		{"writes abroad", placedChain, func(g *Graph) { out(g, 3).Type.Space = "sim:1" }, ErrInvalid,
			[]string{`node "block.proj" (MatMul) on cpu writes value "z", which lives in sim:1`, `graph output "z" lives in sim:1, where cpu is needed`}},
		{"input abroad", placedChain, func(g *Graph) { g.Inputs[0].Type.Space = "sim:2" }, ErrInvalid,
			[]string{`graph input "x" lives in sim:2, where cpu is needed: a Copy is missing`}},
		{"no target", placedChain, func(g *Graph) { node(g, 1).Target = "" }, ErrInvalid,
			[]string{`node "block.act" (Relu) has no target, though the graph is placed`}},
		{"no space", placedChain, func(g *Graph) { out(g, 3).Type.Space = "" }, ErrInvalid,
			[]string{`writes value "z", which lives in no space`, `graph output "z" lives in no space`}},
		{"copy stays", placedChain, func(g *Graph) { out(g, 2).Type.Space = "sim:0" }, ErrInvalid,
			[]string{`copies value "y" in sim:0 to "y@cpu" in sim:0`, `node "block.proj" (MatMul) on cpu reads value "y@cpu", which lives in sim:0`}},
		{"copy converts", placedChain, func(g *Graph) { out(g, 2).Type.DType = Float16 }, ErrType,
			[]string{`makes float16[n, 2] value "y@cpu" of float32[n, 2] value "y": a Copy changes nothing but the space`}},
		{"copy reshapes", placedChain, func(g *Graph) { out(g, 2).Type.Shape = ShapeOf("m", 2) }, ErrType,
			[]string{`makes float32[m, 2] value "y@cpu"`}},
		{"copy of two", placedChain, func(g *Graph) { node(g, 2).Inputs = append(node(g, 2).Inputs, g.Inputs[0]) }, ErrInvalid,
			[]string{`(mnnconv.Copy) needs one input and one output`}},
		{"untyped when placed", placedChain, func(g *Graph) { out(g, 3).Type = Type{Space: Host} }, ErrType,
			[]string{`value "z" is a tensor of dtype undefined`}},

		{"state of nothing", stateful, func(g *Graph) { g.States = append(g.States, State{}) }, ErrInvalid, []string{"state 1 does not tie a graph input to a graph output"}},
		{"state of an inner value", stateful, func(g *Graph) { g.Outputs = g.Outputs[:1] }, ErrInvalid,
			[]string{"state 0 does not tie a graph input to a graph output", `graph input "cache" lives in sim:0, where cpu is needed`}},
		{"shared state", stateful, func(g *Graph) { g.States = append(g.States, g.States[0]) }, ErrInvalid, []string{`state 1 ("cache" to "cache.new") shares a value with another state`}},
		{"state moves", stateful, func(g *Graph) { g.Inputs[1].Type.Space = Host }, ErrInvalid,
			[]string{`state "cache" lives in cpu, its new content "cache.new" in sim:0`, `reads value "cache", which lives in cpu`, `reads value "cache", which lives in cpu`}},
		{"state grows", stateful, func(g *Graph) { g.Inputs[1].Type.Shape = ShapeOf(1, 7) }, ErrType,
			[]string{`state "cache" is float32[1, 7]@sim:0, its new content "cache.new" is float32[1, 8]@sim:0`}},

		{"body's producer", loop, func(g *Graph) { branch(g).Graph.Nodes = nil }, ErrInvalid,
			[]string{`body "then_branch" of node "chosen" (If): graph output 0 reads value "sum"`}},
		{"outer not visible", loop, func(g *Graph) { branch(g).Outer[0] = out(g, 2) }, ErrInvalid,
			[]string{`node "chosen" (If) reads value "chosen" before node "chosen" (If) defines it`}},
		{"too few outer", loop, func(g *Graph) { branch(g).Outer = branch(g).Outer[:1] }, ErrInvalid, []string{`is given 1 values for its 2 captures`}},
		{"nil capture", loop, func(g *Graph) { branch(g).Graph.Captures = append(branch(g).Graph.Captures, nil) }, ErrInvalid,
			[]string{`is given 2 values for its 3 captures`, `graph capture 2 is nil`}},
		{"nil outer", loop, func(g *Graph) { branch(g).Outer[0] = nil }, ErrInvalid, []string{`is given nil for its capture 0`}},
		{"capture's dtype", loop, func(g *Graph) { branch(g).Graph.Captures[0].Type.DType = Int64 }, ErrType,
			[]string{`takes float32[n, 2] value "y" for capture "y", which is int64[n, 2]`}},
		{"no graph", loop, func(g *Graph) { branch(g).Graph = nil }, ErrInvalid, []string{`node "chosen" (If) has a body without a graph`}},
		{"body of itself", loop, func(g *Graph) { branch(g).Graph, branch(g).Outer = g, nil }, ErrInvalid,
			[]string{`is the graph of another body, or a graph around it`}},
		{"deep", func() *Graph { return nested(33) }, func(*Graph) {}, ErrInvalid, []string{`is nested more than 32 deep`}},
		{"body placed alone", loop, func(g *Graph) { branch(g).Graph.Captures[0].Type.Space = "sim:0" }, ErrInvalid,
			[]string{`graph "branch" is placed, the graph around it is not`, `node "sum" (Add) has no target`}},
		{"captured abroad", placedLoop, func(g *Graph) { branch2(g).Outer[0] = g.Inputs[0] }, ErrInvalid,
			[]string{`node "chosen" (If) on sim:0 reads value "x", which lives in cpu: a Copy is missing`}},
	} {
		t.Run(k.name, func(t *testing.T) {
			g := k.base()
			k.edit(g)
			err := Verify(g)
			if !errors.Is(err, k.is) {
				t.Fatalf("got %v, want %v", err, k.is)
			}
			got := strings.Split(err.Error(), "\n")
			if len(got) != len(k.want) {
				t.Fatalf("got %d violations, want %d:\n%v", len(got), len(k.want), err)
			}
			for i, w := range k.want {
				if !strings.Contains(got[i], w) {
					t.Errorf("got  %s\nwant %s", got[i], w)
				}
			}
		})
	}
	if Verify(nil) == nil {
		t.Error("no graph is accepted")
	}
}

func branch2(g *Graph) *Body { return g.Nodes[4].Bodies[0] }

// nested is a graph of n Ifs, each the body of the one before.
func nested(n int) *Graph {
	g := New(fmt.Sprint("level", n))
	if n == 1 {
		return g
	}
	node := g.NewNode("", "If", 16, nil, "out")
	node.Bodies = []*Body{{Attr: "then_branch", Graph: nested(n - 1)}}
	g.Append(node)
	return g
}

func TestVerifyDepth(t *testing.T) {
	if err := Verify(nested(MaxDepth)); err != nil {
		t.Error(err)
	}
}

// TestVerifyReportsAll breaks three rules at once.
func TestVerifyReportsAll(t *testing.T) {
	g := placedChain()
	g.Nodes[3].Inputs[0] = g.Nodes[1].Outputs[0]
	g.Nodes[1].Outputs[0].Name = "x"
	g.Nodes[3].Inputs[1].Type.DType = Int8
	err := Verify(g)
	if n := len(strings.Split(fmt.Sprint(err), "\n")); n != 3 || !errors.Is(err, ErrInvalid) || !errors.Is(err, ErrType) {
		t.Errorf("got %d violations, want 3 of both kinds:\n%v", n, err)
	}
}
