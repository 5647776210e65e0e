package compare

import (
	"testing"

	"mnnconv/graph"
)

// Values behind a Cast to a wider type are as precise as what was rounded before it, and
// those that nothing was rounded for are as precise as their own type.
func TestPrecision(t *testing.T) {
	const half, brain, single, double = graph.Float16, graph.BFloat16, graph.Float32, graph.Float64
	type chain struct {
		g *graph.Graph
		v *graph.Value
	}
	then := func(c *chain, op string, d graph.DType, more ...*graph.Value) {
		n := c.g.NewNode("", op, 24, append([]*graph.Value{c.v}, more...), c.v.Name+" "+op)
		if n.Outputs[0].Type = graph.TensorOf(d, 4); op == "Cast" {
			n.SetAttr("to", int64(d))
		}
		c.g.Append(n)
		c.v = n.Outputs[0]
	}
	for _, test := range []struct {
		name  string
		in    graph.DType
		given graph.DType // the input's precision
		make  func(c *chain)
		want  graph.DType
	}{
		{"float32 alone", single, graph.Undefined, func(c *chain) { then(c, "Exp", single) }, single},
		{"edges in float32", single, graph.Undefined, func(c *chain) { then(c, "Cast", half); then(c, "Exp", half); then(c, "Cast", single) }, half},
		{"moved behind the edge", single, graph.Undefined, func(c *chain) { then(c, "Exp", brain); then(c, "Cast", single); then(c, "Reshape", single) }, brain},
		{"computed behind the edge", half, graph.Undefined, func(c *chain) { then(c, "Exp", half); then(c, "Cast", single); then(c, "Exp", single) }, half},
		{"bfloat16 before float16", brain, graph.Undefined, func(c *chain) { then(c, "Exp", brain); then(c, "Cast", half) }, brain},
		{"rounded to float16 at last", single, graph.Undefined, func(c *chain) { then(c, "Exp", single); then(c, "Cast", half); then(c, "Cast", single) }, half},
		{"float64 of float32", single, graph.Undefined, func(c *chain) { then(c, "Exp", single); then(c, "Cast", double) }, single},
		{"a given float16 is exact", half, graph.Undefined, func(c *chain) { then(c, "Transpose", half); then(c, "Cast", single); then(c, "Exp", single) }, single},
		{"a given number in float16 is exact", single, graph.Undefined, func(c *chain) { then(c, "Cast", half); then(c, "Cast", single); then(c, "Exp", single) }, single},
		{"a float16 that an earlier partition made", half, half, func(c *chain) { then(c, "Cast", single); then(c, "Exp", single) }, half},
		{"constants are exact", single, graph.Undefined, func(c *chain) {
			w := c.g.NewConst("w", narrowed(t, half, []float32{1, 2, 3, 4}, 4))
			wide := &chain{c.g, w}
			then(wide, "Cast", single)
			then(c, "Mul", single, wide.v)
		}, single},
		{"an operand", single, graph.Undefined, func(c *chain) {
			other := &chain{c.g, c.v}
			then(other, "Cast", half)
			then(other, "Exp", half)
			then(other, "Cast", single)
			then(c, "Mul", single, other.v)
		}, half},
		{"integers are what they are", half, half, func(c *chain) { then(c, "Exp", half); then(c, "ArgMax", graph.Int64) }, graph.Int64},
		{"floats of integers", half, half, func(c *chain) { then(c, "ArgMax", graph.Int64); then(c, "Cast", single) }, single},
		{"in a body", single, graph.Undefined, func(c *chain) {
			body := &chain{g: graph.New("body")}
			body.v = body.g.NewInput("carried", graph.TensorOf(single, 4))
			then(body, "Cast", half)
			then(body, "Exp", half)
			then(body, "Cast", single)
			body.g.Outputs = []*graph.Value{body.v}
			then(c, "Loop", single)
			c.v.Def.Bodies = []*graph.Body{{Attr: "body", Graph: body.g}}
		}, half},
	} {
		g := graph.New(test.name)
		c := &chain{g, g.NewInput("x", graph.TensorOf(test.in, 4))}
		test.make(c)
		by := precisions{}
		if test.given != graph.Undefined {
			by["x"] = test.given
		}
		by.follow(g.Nodes)
		if got := by.of(c.v); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// What float16 rounds differently is no alarm behind a Cast to float32; what is further
// off is, and so are both in true float32.
func TestBoundaryBehindCast(t *testing.T) {
	g := graph.New("edges")
	x := g.NewInput("x", graph.TensorOf(graph.Float32, 4))
	cast := func(v *graph.Value, d graph.DType, name string) *graph.Value {
		n := g.NewNode("", "Cast", 24, []*graph.Value{v}, name)
		n.SetAttr("to", int64(d))
		n.Outputs[0].Type = graph.TensorOf(d, 4)
		g.Append(n)
		return n.Outputs[0]
	}
	exp := g.NewNode("", "Exp", 13, []*graph.Value{cast(x, graph.Float16, "narrow")}, "exp")
	exp.Outputs[0].Type = graph.TensorOf(graph.Float16, 4)
	g.Append(exp)
	y := cast(exp.Outputs[0], graph.Float32, "y")
	plain := g.NewNode("", "Exp", 13, []*graph.Value{x}, "plain")
	plain.Outputs[0].Type = graph.TensorOf(graph.Float32, 4)
	g.Append(plain)
	by, p := precisions{}, &phase{}
	by.follow(g.Nodes)
	for _, c := range []struct {
		v   *graph.Value
		off float32
		ok  bool
	}{{y, 0, true}, {y, 0x1p-8, true}, {y, 0.05, false}, {plain.Outputs[0], 0x1p-8, false}, {plain.Outputs[0], 0x1p-12, true}} {
		want := []float32{1, 2, 3, 5}
		got := append([]float32{}, want...)
		got[3] += c.off
		m, err := measure(narrowed(t, graph.Float32, got, 4), narrowed(t, graph.Float32, want, 4))
		if err != nil {
			t.Fatal(err)
		}
		if tolerance, ok := p.boundary(c.v, m, by); ok != c.ok {
			t.Errorf("%s, %g off: %t within %g", c.v.Name, c.off, ok, tolerance)
		}
	}
}
