package op

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"mnnconv/graph"
)

// known is an int64 input whose elements inference knows.
type known []graph.Dim

// TestMovedShapes checks what operators that move elements prove of extents
// and elements. An input is a type, a constant tensor or known elements.
func TestMovedShapes(t *testing.T) {
	n, m, c := graph.Sym("n"), graph.Sym("m"), graph.Const
	of := func(dims ...any) graph.Type { return graph.TensorOf(graph.Float32, dims...) }
	ints := func(v ...int64) *graph.Tensor { return graph.Ints(v) }
	attr := func(name string, v any) []graph.Attr { return []graph.Attr{{Name: name, Value: v}} }
	vector := graph.TensorOf(graph.Int64, 3)
	for _, k := range []struct {
		op    string
		attrs []graph.Attr
		in    []any
		want  string // the type; "" is an error that wraps graph.ErrType
		elems []graph.Dim
	}{
		{op: "Shape", in: []any{of("n", 3, "m")}, want: "int64[3]", elems: known{n, c(3), m}},
		{op: "Shape", in: []any{graph.Type{DType: graph.Float32}}, want: "int64[?]"},
		{op: "Size", in: []any{of("n", 3, "m")}, want: "int64[]", elems: known{n.Mul(m).Mul(c(3))}},
		{op: "ConstantOfShape", attrs: attr("value", ints(1)), in: []any{known{n, c(2)}}, want: "int64[n, 2]"},
		{op: "ConstantOfShape", attrs: attr("value", ints(7)), in: []any{ints(2)}, want: "int64[2]", elems: known{c(7), c(7)}},
		{op: "ConstantOfShape", in: []any{vector}, want: "float32[?, ?, ?]"},

		{op: "Reshape", in: []any{of("n", "m", 64), known{n.Mul(m), c(-1)}}, want: "float32[m*n, 64]"},
		{op: "Reshape", in: []any{of("n", 4096), ints(0, -1, 128)}, want: "float32[n, 32, 128]"},
		{op: "Reshape", in: []any{of("n", 1176), ints(-1, 4, 1176)}, want: "float32[floor(n / 4), 4, 1176]"},
		{op: "Reshape", in: []any{of("n", 6), ints(4, -1, -1)}, want: "error"},
		{op: "Reshape", in: []any{of(2, 3), ints(4, -1)}, want: ""},
		{op: "Reshape", in: []any{of("n", 3), known{n, c(4)}}, want: "float32[n, 4]"}, // n may be 0
		{op: "Reshape", in: []any{of(2, 3), ints(7)}, want: ""},
		{op: "Reshape", in: []any{graph.Type{DType: graph.Float32}, ints(0, -1, 5)}, want: "float32[?, ?, 5]"},
		{op: "Reshape", in: []any{of("n", 3), vector}, want: "float32[?, ?, ?]"},
		{op: "Reshape", in: []any{graph.TensorOf(graph.Int64, 2, 2), ints(-1)}, want: "int64[4]"},

		{op: "Flatten", in: []any{of("n", "m", 4)}, want: "float32[n, 4*m]"},
		{op: "Squeeze", in: []any{of(1, "n", 1)}, want: "float32[?]"}, // n may be 1
		{op: "Squeeze", in: []any{of(1, "n", 1), ints(0, -1)}, want: "float32[n]"},
		{op: "Squeeze", in: []any{of(1, n.Add(c(2)))}, want: "float32[n + 2]"},
		{op: "Squeeze", in: []any{of(2, "n"), ints(0)}, want: ""},
		{op: "Squeeze", in: []any{known{n}, ints(0)}, want: "int64[]", elems: known{n}},
		{op: "Unsqueeze", in: []any{of("n"), ints(0, 2)}, want: "float32[1, n, 1]"},
		{op: "Transpose", attrs: attr("perm", []int64{2, 0, 1}), in: []any{of("n", 3, "m")}, want: "float32[m, n, 3]"},

		{op: "Concat", attrs: attr("axis", int64(1)), in: []any{of("n", "m"), of("n", 3), of("k", "m")}, want: "float32[n, 2*m + 3]"},
		{op: "Concat", attrs: attr("axis", int64(0)), in: []any{of("n", 3), of("n", 4)}, want: ""},
		{op: "Concat", attrs: attr("axis", int64(0)), in: []any{known{n}, ints(-1, 64)}, want: "int64[3]", elems: known{n, c(-1), c(64)}},
		{op: "Split", in: []any{of("n", 4), known{m, n.Sub(m)}}, want: "float32[m, 4]"},
		{op: "Split", in: []any{of(n.Mul(c(2)), 4)}, attrs: attr("num_outputs", int64(1)), want: "float32[2*n, 4]"},
		{op: "Split", in: []any{of("n", 4), known{n.Add(c(1))}}, want: ""},

		{op: "Slice", in: []any{of("n", 8), ints(0), ints(math.MaxInt64), ints(0)}, want: "float32[n, 8]"},
		{op: "Slice", in: []any{of("n"), ints(1), ints(math.MaxInt64)}, want: "float32[max(0, n - 1)]"},
		{op: "Slice", in: []any{of("n"), ints(0), ints(-1)}, want: "float32[max(0, n - 1)]"},
		{op: "Slice", in: []any{of(n.Add(c(1))), ints(1), ints(math.MaxInt64)}, want: "float32[n]"},
		{op: "Slice", in: []any{of("n"), ints(-3), ints(math.MaxInt64)}, want: "float32[min(3, n)]"},
		{op: "Slice", in: []any{of(n.Add(m)), known{n}, known{n.Add(m)}}, want: "float32[m]"},
		{op: "Slice", in: []any{of("n"), ints(-1), ints(math.MinInt64), ints(0), ints(-1)}, want: "float32[n]"},
		{op: "Slice", in: []any{of(n.Mul(c(2))), ints(0), ints(math.MaxInt32), ints(0), ints(2)}, want: "float32[floor((2*n + 1) / 2)]"},
		{op: "Slice", in: []any{of("n", 8), vector, ints(4, 4, 4), graph.TensorOf(graph.Int64, 1)}, want: "float32[?, ?]"},
		{op: "Slice", in: []any{known{n, c(3), m}, ints(-1), ints(math.MinInt64), ints(0), ints(-1)}, want: "int64[3]", elems: known{m, c(3), n}},

		{op: "Gather", in: []any{of("n", 8), graph.TensorOf(graph.Int64, "k", 2)}, want: "float32[k, 2, 8]"},
		{op: "Gather", in: []any{known{n, c(3), m}, graph.Scalar(-1)}, want: "int64[]", elems: known{m}},
		{op: "GatherElements", in: []any{of("n", 8), graph.TensorOf(graph.Int64, "k", 2)}, want: "float32[k, 2]"},
		{op: "GatherND", in: []any{of("n", "m", 8), graph.TensorOf(graph.Int64, "k", 2)}, want: "float32[k, 8]"},
		{op: "GatherND", in: []any{of("n", 8), graph.TensorOf(graph.Int64, "k", 3)}, want: ""},
		{op: "ScatterND", in: []any{of("n", 8), graph.TensorOf(graph.Int64, "k", 1), of("k", 8)}, want: "float32[n, 8]"},
		{op: "Expand", in: []any{of("n", 1), known{m, c(1), c(5)}}, want: "float32[m, n, 5]"},
		{op: "Expand", in: []any{of("n", 3), vector}, want: "float32[?, ?, 3]"},
		{op: "Expand", in: []any{of("n", 3), ints(5, 4)}, want: ""},
		{op: "Expand", in: []any{known{n}, ints(2)}, want: "int64[2]", elems: known{n, n}},
		{op: "Tile", in: []any{of("n", 3), known{c(2), m}}, want: "float32[2*n, 3*m]"},
		{op: "Pad", in: []any{of("n", 3), known{c(0), m, n, c(1)}}, want: "float32[2*n, m + 4]"},

		{op: "Range", in: []any{graph.Scalar(0), known{n}, graph.Scalar(1)}, want: "int64[n]"},
		{op: "Range", in: []any{known{n}, known{n.Add(c(2))}, graph.Scalar(1)}, want: "int64[2]", elems: known{n, n.Add(c(1))}},
		{op: "Range", in: []any{graph.Scalar(0), known{n}, graph.Scalar(4)}, want: "int64[floor((n + 3) / 4)]"},
		{op: "Range", in: []any{known{n}, graph.Scalar(0), graph.Scalar(-1)}, want: "int64[n]"},
		{op: "Range", in: []any{known{m}, known{n}, graph.Scalar(1)}, want: "int64[max(-m + n, 0)]"},
		{op: "NonZero", in: []any{of("n", 3)}, want: "int64[2, ?]"},
		{op: "TopK", in: []any{of("n", 8), known{m}}, want: "float32[n, m]"},
		{op: "TopK", in: []any{of("n", 8), ints(9)}, want: "error"},
		{op: "OneHot", in: []any{graph.TensorOf(graph.Int64, "n"), known{m}, graph.Floats([]float32{0, 1})}, want: "float32[n, m]"},
		{op: "DepthToSpace", attrs: attr("blocksize", int64(2)), in: []any{of("n", n.Mul(c(8)), "m", 3)}, want: "float32[n, 2*n, 2*m, 6]"},
		{op: "TensorScatter", in: []any{of("b", 2, 64, 8), of(1, "heads", "s", 8), graph.TensorOf(graph.Int64, 1)}, want: "float32[1, 2, 64, 8]"},
		{op: "TensorScatter", in: []any{of("b", 2, 64, 8), of("b", 2, 65, 8)}, want: ""},
	} {
		facts := NewFacts(All())
		g := graph.New("case")
		var in []*graph.Value
		for i, x := range k.in {
			name := fmt.Sprint("in", i)
			switch x := x.(type) {
			case graph.Type:
				in = append(in, g.NewInput(name, x))
			case *graph.Tensor:
				in = append(in, g.NewConst(name, x))
			case known:
				in = append(in, g.NewInput(name, graph.TensorOf(graph.Int64, len(x))))
				facts.Know(in[i], x)
			}
		}
		node := g.NewNode("", k.op, 24, in, "out")
		node.Attrs = k.attrs
		if k.op == "Split" && len(in) == 2 {
			if e, _ := facts.Elements(in[1]); len(e) == 2 {
				node = g.NewNode("", k.op, 24, in, "out", "rest")
			}
		}
		what := fmt.Sprintf("%s%v", k.op, k.in)
		switch err := facts.Node(node); {
		case k.want == "" && !errors.Is(err, graph.ErrType), k.want == "error" && err == nil:
			t.Errorf("%s: got %s (%v), want an error", what, node.Outputs[0].Type, err)
			continue
		case k.want == "" || k.want == "error":
			continue
		case err != nil:
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got := shape(node.Outputs[0].Type); got != k.want {
			t.Errorf("%s: got %s, want %s", what, node.Outputs[0].Type, k.want)
		}
		elems, ok := facts.Elements(node.Outputs[0])
		if ok != (k.elems != nil) || fmt.Sprint(elems) != fmt.Sprint(k.elems) {
			t.Errorf("%s: got elements %v, want %v", what, elems, k.elems)
		}
	}
}

// Exporters compute pads through a matrix: [pairs from the last axis on] to
// [before…, after…]. Shape arithmetic follows it.
func TestPadsThroughMatrix(t *testing.T) {
	n, m, c := graph.Sym("n"), graph.Sym("m"), graph.Const
	g := graph.New("g")
	pairs := g.NewInput("pairs", graph.TensorOf(graph.Int64, 4))
	ints := func(v ...int64) *graph.Value { return g.NewConst(fmt.Sprint("c", g.NumValues()), graph.Ints(v)) }
	rows := add(g, "Reshape", nil, pairs, ints(-1, 2))
	back := add(g, "Slice", nil, rows, ints(-1), ints(math.MinInt64), ints(0), ints(-1))
	pads := add(g, "Reshape", nil, add(g, "Transpose", nil, back), ints(-1))
	out := add(g, "Pad", nil, g.NewInput("x", graph.TensorOf(graph.Float32, "h", "w")), pads)
	facts := NewFacts(All())
	facts.Know(pairs, []graph.Dim{c(0), n, c(1), m}) // the last axis first
	if err := facts.Graph(g); err != nil {
		t.Fatal(err)
	}
	if elems, _ := facts.Elements(pads); fmt.Sprint(elems) != "[1 0 m n]" {
		t.Errorf("pads are %v", elems)
	}
	if got := out.Type.String(); got != "float32[h + m + 1, n + w]" {
		t.Errorf("padded to %s", got)
	}
}

// An element of a target that only running tells follows from the others, if
// none of them can be 0.
func TestReshapePartlyKnown(t *testing.T) {
	for _, k := range []struct {
		rest []int64
		want string
	}{
		{[]int64{3, 64}, "float32[n, 3, 64]"}, {[]int64{3, -1}, "float32[?, 3, ?]"}, {[]int64{0, 192}, "float32[floor(n / 192), 192, 192]"}, {[]int64{0}, "float32[n, 192]"},
	} {
		g := graph.New("g")
		x := g.NewInput("x", graph.TensorOf(graph.Float32, "n", 192))
		rows := g.NewInput("rows", graph.TensorOf(graph.Int64, 1))
		target := add(g, "Concat", axisAttr(0), rows, g.NewConst("rest", graph.Ints(k.rest)))
		out := add(g, "Reshape", nil, x, target)
		if err := NewFacts(All()).Graph(g); err != nil {
			t.Errorf("%v: %v", k.rest, err)
		} else if got := shape(out.Type); got != k.want {
			t.Errorf("%v: got %s, want %s", k.rest, out.Type, k.want)
		}
	}
}
