package op

import (
	"fmt"
	"testing"

	"mnnconv/graph"
)

// TestShapeArithmetic checks what element-wise operators and reductions know of
// vectors of symbolic extents.
func TestShapeArithmetic(t *testing.T) {
	n, m := graph.Sym("n"), graph.Sym("m")
	dims := func(d ...graph.Dim) []graph.Dim { return d }
	c := graph.Const
	cast := func(d graph.DType) []graph.Attr { return []graph.Attr{{Name: "to", Value: int64(d)}} }
	for _, k := range []struct {
		op    string
		attrs []graph.Attr
		dtype graph.DType // of the inputs; Int64 by default
		in    [][]graph.Dim
		want  []graph.Dim // nil: not known
	}{
		{op: "Add", in: [][]graph.Dim{{n, c(3)}, {m}}, want: dims(n.Add(m), m.Add(c(3)))},
		{op: "Sub", in: [][]graph.Dim{{n}, {c(1)}}, want: dims(n.Sub(c(1)))},
		{op: "Sub", dtype: graph.Uint64, in: [][]graph.Dim{{n}, {c(1)}}},
		{op: "Mul", in: [][]graph.Dim{{n, c(2)}, {m, n}}, want: dims(n.Mul(m), n.Mul(c(2)))},
		{op: "Mul", dtype: graph.Int32, in: [][]graph.Dim{{c(1 << 20)}, {c(1 << 20)}}},
		{op: "Add", dtype: graph.Uint8, in: [][]graph.Dim{{n}, {c(1)}}},
		{op: "Div", in: [][]graph.Dim{{n, n.Mul(c(4)), n.Mul(m), c(-7)}, {c(2), c(4), m, c(2)}}, want: dims(n.Div(c(2)), n, n, c(-3))},
		{op: "Div", in: [][]graph.Dim{{n.Mul(c(4)), n.Mul(c(-4))}, {c(4)}}, want: dims(n, n.Mul(c(-1)))},
		{op: "Div", in: [][]graph.Dim{{n.Sub(c(5))}, {c(2)}}},
		{op: "Div", in: [][]graph.Dim{{n}, {c(0)}}},
		{op: "Mod", in: [][]graph.Dim{{n.Mul(c(6)), c(-7)}, {c(3)}}, want: dims(c(0), c(2))},
		{op: "Mod", in: [][]graph.Dim{{n.Sub(c(1))}, {c(3)}}, want: dims(n.Sub(c(1)).Mod(c(3)))},
		{op: "Mod", attrs: []graph.Attr{{Name: "fmod", Value: int64(1)}}, in: [][]graph.Dim{{n.Sub(c(1))}, {c(3)}}},
		{op: "Max", in: [][]graph.Dim{{n, n.Add(m), n}, {n.Add(c(1)), n, c(0)}}, want: dims(n.Add(c(1)), n.Add(m), n)},
		{op: "Min", in: [][]graph.Dim{{n}, {n.Add(m)}, {c(4)}}, want: dims(n.Min(c(4)))},
		{op: "Neg", in: [][]graph.Dim{{n, c(-3)}}, want: dims(n.Mul(c(-1)), c(3))},
		{op: "Abs", in: [][]graph.Dim{{n, n.Mul(c(-1)), c(-3)}}, want: dims(n, n, c(3))},
		{op: "Abs", in: [][]graph.Dim{{n.Sub(c(1))}}},
		{op: "Relu", in: [][]graph.Dim{{n, c(-3)}}, want: dims(n, c(0))},
		{op: "Clip", in: [][]graph.Dim{{n, c(-3)}, {c(0)}}, want: dims(n, c(0))},
		{op: "Equal", in: [][]graph.Dim{{n, n, c(-1), n}, {c(-1), n, c(-1), n.Add(c(1))}}, want: dims(c(0), c(1), c(1), c(0))},
		{op: "Equal", in: [][]graph.Dim{{n}, {c(1)}}},
		{op: "Less", in: [][]graph.Dim{{n, n, n}, {n.Add(c(1)), n, c(0)}}, want: dims(c(1), c(0), c(0))},
		{op: "Greater", in: [][]graph.Dim{{n}, {c(0)}}},
		{op: "GreaterOrEqual", in: [][]graph.Dim{{n}, {c(0)}}, want: dims(c(1))},
		{op: "Cast", attrs: cast(graph.Int32), in: [][]graph.Dim{{n, c(5)}}, want: dims(n, c(5))},
		{op: "Cast", attrs: cast(graph.Int32), in: [][]graph.Dim{{c(1 << 40)}}},
		{op: "Cast", attrs: cast(graph.Float32), in: [][]graph.Dim{{n}}},
		{op: "Identity", in: [][]graph.Dim{{n, m}}, want: dims(n, m)},
		{op: "ReduceProd", in: [][]graph.Dim{{n, c(3), m}}, want: dims(n.Mul(m).Mul(c(3)))},
		{op: "ReduceSum", in: [][]graph.Dim{{n, c(3), m}}, want: dims(n.Add(m).Add(c(3)))},
		{op: "ReduceMax", in: [][]graph.Dim{{n, c(0), n.Add(c(2))}}, want: dims(n.Add(c(2)))},
	} {
		facts := NewFacts(All())
		g := graph.New("case")
		var in []*graph.Value
		for i, x := range k.in {
			if k.dtype == graph.Undefined {
				k.dtype = graph.Int64
			}
			v := g.NewInput(fmt.Sprint("in", i), graph.TensorOf(k.dtype, len(x)))
			facts.Know(v, x)
			in = append(in, v)
		}
		node := g.NewNode("", k.op, 24, in, "out")
		node.Attrs = k.attrs
		if err := facts.Node(node); err != nil {
			t.Errorf("%s%v: %v", k.op, k.in, err)
			continue
		}
		got, known := facts.Elements(node.Outputs[0])
		if known != (k.want != nil) || fmt.Sprint(got) != fmt.Sprint(k.want) {
			t.Errorf("%s%v: got %v, want %v", k.op, k.in, got, k.want)
		}
	}
}

// TestExpandShape follows the test for -1 that exporters put before Expand.
func TestExpandShape(t *testing.T) {
	facts := NewFacts(All())
	g := graph.New("expand")
	n := graph.Sym("n")
	shape := g.NewInput("shape", graph.TensorOf(graph.Int64, 2))
	facts.Know(shape, []graph.Dim{n, graph.Const(-1)})
	equal := g.NewNode("", "Equal", 13, []*graph.Value{shape, g.NewConst("minus", graph.Scalar(-1))}, "equal")
	where := g.NewNode("", "Where", 13, []*graph.Value{equal.Out(0), g.NewConst("ones", graph.Ints([]int64{1, 1})), shape}, "where")
	for _, node := range []*graph.Node{equal, where} {
		if err := facts.Node(node); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := facts.Elements(where.Out(0))
	if want := []graph.Dim{n, graph.Const(1)}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestReduceUnknownAxes checks the shapes of reductions along axes that only
// running tells.
func TestReduceUnknownAxes(t *testing.T) {
	for _, k := range []struct {
		keepdims int64
		axes     graph.Shape
		rank     int // -1: unknown
	}{
		{1, nil, 3},
		{0, graph.ShapeOf(2), 1},
		{0, graph.ShapeOf("k"), -1},
		{0, graph.ShapeOf(0), -1},
	} {
		g := graph.New("case")
		x := g.NewInput("x", graph.TensorOf(graph.Float32, "a", 1, "b"))
		axes := g.NewInput("axes", graph.Type{DType: graph.Int64, Shape: k.axes})
		n := g.NewNode("", "ReduceSum", 13, []*graph.Value{x, axes}, "out")
		n.SetAttr("keepdims", k.keepdims)
		if err := NewFacts(All()).Node(n); err != nil {
			t.Fatal(err)
		}
		s := n.Out(0).Type.Shape
		if !s.Ranked() && k.rank != -1 || s.Ranked() && len(s) != k.rank {
			t.Errorf("keepdims %d, axes %s: inferred %s, want rank %d", k.keepdims, k.axes, s, k.rank)
		}
		if k.keepdims == 1 && !s[1].IsConst(1) {
			t.Errorf("an extent of 1 became %s", s[1])
		}
	}
}
