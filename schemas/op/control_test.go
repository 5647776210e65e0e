package op

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"mnnconv/graph"
)

// loopOf makes a Loop node in g over carried values. build gets the body with its
// inputs (iteration, condition, carried…), whose types are left open, and returns
// the carried outputs and results; the condition is passed on.
func loopOf(g *graph.Graph, m *graph.Value, carried []*graph.Value, build func(b *graph.Graph) []*graph.Value, outs ...string) *graph.Node {
	b := graph.New("body")
	for i := range 2 + len(carried) {
		b.NewInput(fmt.Sprint("arg", i), graph.Type{})
	}
	b.Outputs = append([]*graph.Value{b.Inputs[1]}, build(b)...)
	n := g.NewNode("", "Loop", 16, append([]*graph.Value{m, nil}, carried...), outs...)
	n.Bodies = []*graph.Body{{Attr: "body", Graph: b}}
	g.Append(n)
	return n
}

// add appends a node with one output.
func add(g *graph.Graph, op string, attrs []graph.Attr, ins ...*graph.Value) *graph.Value {
	n := g.NewNode("", op, 20, ins, fmt.Sprint(op, g.NumValues()))
	n.Attrs = attrs
	g.Append(n)
	return n.Outputs[0]
}

func axisAttr(i int64) []graph.Attr { return []graph.Attr{{Name: "axis", Value: i}} }

// shape writes a shape with every fresh symbol as "?".
func shape(t graph.Type) string {
	if t.Kind != graph.TensorKind || !t.Shape.Ranked() {
		return t.String()
	}
	parts := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		if parts[i] = d.String(); strings.Contains(parts[i], "#") {
			parts[i] = "?"
		}
	}
	return t.DType.String() + "[" + strings.Join(parts, ", ") + "]"
}

// A tensor grows by one segment an iteration from no rows at all, as attention
// by segments does in exported vision towers; what does not grow keeps its type.
func TestLoopGrows(t *testing.T) {
	g := graph.New("g")
	m := g.NewInput("m", graph.TensorOf(graph.Int64))
	seed := g.NewInput("seed", graph.TensorOf(graph.Float32, 1, 0, 64))
	same := g.NewInput("same", graph.TensorOf(graph.Float32, "n"))
	part := g.NewInput("part", graph.TensorOf(graph.Float32, 1, "p", 64))
	n := loopOf(g, m, []*graph.Value{seed, same}, func(b *graph.Graph) []*graph.Value {
		c := b.NewValue("part", graph.Type{})
		b.Captures = []*graph.Value{c}
		first := add(b, "SequenceAt", nil, add(b, "SplitToSequence", nil, b.Inputs[3], b.NewConst("two", graph.Scalar(2))), b.NewConst("zero", graph.Scalar(0)))
		return []*graph.Value{add(b, "Concat", axisAttr(1), b.Inputs[2], c), add(b, "Identity", nil, b.Inputs[3]), c, first}
	}, "rows", "kept", "parts", "firsts")
	n.Bodies[0].Outer = []*graph.Value{part}
	facts := NewFacts(All())
	facts.Know(m, []graph.Dim{graph.Sym("segments")})
	if err := facts.Graph(g); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"float32[1, ?, 64]", "float32[n]", "float32[segments, 1, p, 64]", "float32[segments, ?]"} {
		if got := shape(n.Outputs[i].Type); got != want {
			t.Errorf("output %d is %s, want %s", i, n.Outputs[i].Type, want)
		}
	}
}

// Elements that a loop puts into an empty sequence give it its type.
func TestLoopFillsSequence(t *testing.T) {
	g := graph.New("g")
	m := g.NewInput("m", graph.TensorOf(graph.Int64))
	empty := add(g, "SequenceEmpty", []graph.Attr{{Name: "dtype", Value: int64(graph.Int64)}})
	n := loopOf(g, m, []*graph.Value{empty}, func(b *graph.Graph) []*graph.Value {
		zero, one := b.NewConst("zero", graph.Scalar(0)), b.NewConst("one", graph.Scalar(1))
		rows := add(b, "Unsqueeze", nil, add(b, "Range", nil, zero, b.Inputs[0], one), b.NewConst("axis", graph.Ints([]int64{1})))
		return []*graph.Value{add(b, "SequenceInsert", nil, b.Inputs[2], rows)}
	}, "list")
	joined := add(g, "ConcatFromSequence", axisAttr(0), n.Outputs[0])
	g.Outputs = []*graph.Value{joined}
	if err := NewFacts(All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	if got := shape(joined.Type); got != "int64[?, 1]" {
		t.Errorf("joined is %s", joined.Type)
	}
	g.Inputs = []*graph.Value{m}
	out, err := All().Run(context.Background(), g, []*graph.Tensor{graph.Scalar(4)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := same(out[0], graph.Ints([]int64{0, 0, 1, 0, 1, 2}, 6, 1), 0); err != nil {
		t.Error(err)
	}
}

// A body reads values of the graph around it, also through a body between.
func TestLoopCaptures(t *testing.T) {
	g := graph.New("g")
	x := g.NewInput("x", graph.TensorOf(graph.Int64))
	cond := g.NewInput("cond", graph.TensorOf(graph.Bool))
	start := g.NewConst("start", graph.Scalar(1))
	n := loopOf(g, g.NewConst("m", graph.Scalar(3)), []*graph.Value{start}, func(b *graph.Graph) []*graph.Value {
		cx, cc := b.NewValue("x", graph.Type{}), b.NewValue("cond", graph.Type{})
		b.Captures = []*graph.Value{cx, cc}
		var branches []*graph.Body
		for _, k := range []struct{ attr, op string }{{"then_branch", "Mul"}, {"else_branch", "Add"}} {
			br := graph.New(k.attr)
			br.Captures = []*graph.Value{br.NewValue("x", graph.Type{}), br.NewValue("state", graph.Type{})}
			br.Outputs = []*graph.Value{add(br, k.op, nil, br.Captures...)}
			branches = append(branches, &graph.Body{Attr: k.attr, Graph: br, Outer: []*graph.Value{cx, b.Inputs[2]}})
		}
		v := add(b, "If", nil, cc)
		v.Def.Bodies = branches
		return []*graph.Value{v}
	}, "out")
	n.Bodies[0].Outer = []*graph.Value{x, cond}
	g.Outputs = n.Outputs
	if err := NewFacts(All()).Graph(g); err != nil {
		t.Fatal(err)
	}
	if got := n.Outputs[0].Type.String(); got != "int64[]" {
		t.Errorf("output is %s", got)
	}
	for cond, want := range map[bool]int64{true: 125, false: 16} {
		out, err := All().Run(context.Background(), g, []*graph.Tensor{graph.Scalar(5), boolScalar(cond)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := same(out[0], graph.Scalar(want), 0); err != nil {
			t.Errorf("cond %v: %v", cond, err)
		}
	}
}

// A loop without count and condition ends with its context.
func TestLoopCancelled(t *testing.T) {
	g := graph.New("g")
	loopOf(g, nil, nil, func(*graph.Graph) []*graph.Value { return nil })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := All().Eval(ctx, g.Nodes[0], []*graph.Tensor{nil, nil}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLoopRefuses(t *testing.T) {
	for _, k := range []struct {
		name  string
		build func(b *graph.Graph) []*graph.Value
		want  error
	}{
		{"carried value changes its dtype", func(b *graph.Graph) []*graph.Value {
			v := add(b, "Cast", []graph.Attr{{Name: "to", Value: int64(graph.Float32)}}, b.Inputs[2])
			return []*graph.Value{v}
		}, graph.ErrType},
		{"results change their shape", func(b *graph.Graph) []*graph.Value {
			zero, one := b.NewConst("zero", graph.Scalar(0)), b.NewConst("one", graph.Scalar(1))
			return []*graph.Value{b.Inputs[2], add(b, "Range", nil, zero, b.Inputs[0], one)}
		}, ErrInput},
		{"too few outputs", func(b *graph.Graph) []*graph.Value { return nil }, ErrInput},
	} {
		g := graph.New("g")
		outs := []string{"a", "b"}
		if k.name != "results change their shape" {
			outs = outs[:1]
		}
		n := loopOf(g, g.NewConst("m", graph.Scalar(3)), []*graph.Value{g.NewConst("v", graph.Scalar(1))}, k.build, outs...)
		g.Outputs = n.Outputs
		err := NewFacts(All()).Graph(g)
		if err == nil {
			_, err = All().Run(context.Background(), g, nil, nil)
		}
		if !errors.Is(err, k.want) {
			t.Errorf("%s: got %v, want %v", k.name, err, k.want)
		}
	}
}

// Loops within loops, each of whose carried tensors grows, cost a bounded number
// of passes over the innermost body.
func TestLoopNesting(t *testing.T) {
	const depth = 24
	var nest func(g *graph.Graph, v *graph.Value, depth int) *graph.Value
	nest = func(g *graph.Graph, v *graph.Value, depth int) *graph.Value {
		if depth == 0 {
			return add(g, "Concat", axisAttr(0), v, v)
		}
		return loopOf(g, nil, []*graph.Value{v}, func(b *graph.Graph) []*graph.Value {
			return []*graph.Value{nest(b, b.Inputs[2], depth-1)}
		}, fmt.Sprint("out", depth)).Outputs[0]
	}
	g := graph.New("g")
	out := nest(g, g.NewInput("x", graph.TensorOf(graph.Float32, "n", 4)), depth)
	facts := NewFacts(All())
	if err := facts.Graph(g); err != nil {
		t.Fatal(err)
	}
	if facts.fresh > 1000 {
		t.Errorf("%d fresh symbols", facts.fresh)
	}
	if out.Type.DType != graph.Float32 {
		t.Errorf("output is %s", out.Type)
	}
}

// A branch that contradicts the types is never chosen: it neither fails the
// graph nor blurs what the other branch proves. Both failing is an error.
func TestIfDeadBranch(t *testing.T) {
	branch := func(attr string, axis int64) *graph.Body {
		b := graph.New(attr)
		b.Captures = []*graph.Value{b.NewValue("x", graph.Type{})}
		b.Outputs = []*graph.Value{add(b, "Squeeze", nil, b.Captures[0], b.NewConst("axis", graph.Ints([]int64{axis})))}
		return &graph.Body{Attr: attr, Graph: b}
	}
	for _, k := range []struct {
		then, other int64
		want        string
	}{
		{0, 1, "float32[3, n]"}, {1, 0, "float32[3, n]"}, // extent 3 is not 1
		{2, 1, "float32[1, 3]"}, {2, 9, "float32[1, 3]"},
		{2, 0, "float32[?, ?]"}, // either may run
		{1, 9, ""},
	} {
		g := graph.New("g")
		x := g.NewInput("x", graph.TensorOf(graph.Float32, 1, 3, "n"))
		v := add(g, "If", nil, g.NewInput("cond", graph.TensorOf(graph.Bool)))
		v.Def.Bodies = []*graph.Body{branch("then_branch", k.then), branch("else_branch", k.other)}
		for _, b := range v.Def.Bodies {
			b.Outer = []*graph.Value{x}
		}
		err := NewFacts(All()).Graph(g)
		if (err == nil) != (k.want != "") || err == nil && shape(v.Type) != k.want {
			t.Errorf("axes %d and %d: got %s (%v), want %s", k.then, k.other, v.Type, err, k.want)
		}
	}
}
