package op

import "mnnconv/graph"

// Function is an operator of the domain mnnconv in standard ones, for runtimes
// that lack it.
type Function struct {
	Op   *Op
	Body *graph.Graph // inputs and outputs in the operator's order
}

// Ref as the value of an attribute in a body stands for the operator's own
// attribute of a name, and for nothing where that is not given.
type Ref struct {
	Attr string
	Like any // any value of the attribute's type
}

// Functions returns a body for every operator of the domain mnnconv.
func Functions() []Function {
	return []Function{
		{Copy, copyBody()},
		{SegmentedAttention, segmentedAttentionBody()},
	}
}

// bodyVersion is the version of ai.onnx that bodies are written for.
const bodyVersion = 24

// body builds a function's graph.
type body struct{ g *graph.Graph }

func newBody(o *Op) (body, []*graph.Value) {
	b := body{graph.New(o.Name)}
	b.g.Doc = o.Doc
	for _, name := range o.Inputs {
		b.g.NewInput(name, graph.Type{})
	}
	return b, b.g.Inputs
}

// node appends a node of ai.onnx with one output.
func (b body) node(op, out string, attrs []graph.Attr, ins ...*graph.Value) *graph.Value {
	n := b.g.NewNode("", op, bodyVersion, ins, out)
	n.Attrs = attrs
	b.g.Append(n)
	return n.Outputs[0]
}

// ints appends a constant.
func (b body) ints(name string, v ...int64) *graph.Value {
	return b.g.NewConst(name, graph.Ints(v))
}

func copyBody() *graph.Graph {
	b, in := newBody(Copy)
	b.g.Outputs = []*graph.Value{b.node("Identity", "output", nil, in[0])}
	return b.g
}

// segmentedAttentionBody is Attention under the mask that lets a token see the
// tokens of its own segment: those with as many boundaries at or before them.
func segmentedAttentionBody() *graph.Graph {
	b, in := newBody(SegmentedAttention)
	attr := func(name string, value any) []graph.Attr { return []graph.Attr{{Name: name, Value: value}} }

	zero, one := b.g.NewConst("zero", graph.Scalar(0)), b.g.NewConst("one", graph.Scalar(1))
	first, last := b.ints("first", 0), b.ints("last", 1)
	count := b.node("Squeeze", "tokens", nil, b.node("Shape", "tokens_1", []graph.Attr{{Name: "start", Value: int64(0)}, {Name: "end", Value: int64(1)}}, in[0]), first)
	tokens := b.node("Range", "token", nil, zero, count, one)
	bounds := b.node("Cast", "bounds", attr("to", int64(graph.Int64)), in[3])
	passed := b.node("GreaterOrEqual", "passed", nil, b.node("Unsqueeze", "token_column", nil, tokens, last), b.node("Unsqueeze", "bounds_row", nil, bounds, first))
	segment := b.node("ReduceSum", "segment", attr("keepdims", int64(0)), b.node("Cast", "passed_int", attr("to", int64(graph.Int64)), passed), last)
	mask := b.node("Equal", "mask", nil, b.node("Unsqueeze", "segment_column", nil, segment, last), b.node("Unsqueeze", "segment_row", nil, segment, first))

	heads := func(v *graph.Value) *graph.Value { // [tokens, heads, head] to [1, heads, tokens, head]
		return b.node("Unsqueeze", v.Name+"_batch", nil, b.node("Transpose", v.Name+"_heads", attr("perm", []int64{1, 0, 2}), v), first)
	}
	y := b.node("Attention", "attended", attr("scale", Ref{"scale", float32(0)}), heads(in[0]), heads(in[1]), heads(in[2]), mask)
	b.g.Outputs = []*graph.Value{b.node("Transpose", "output", attr("perm", []int64{1, 0, 2}), b.node("Squeeze", "rows", nil, y, first))}
	return b.g
}
