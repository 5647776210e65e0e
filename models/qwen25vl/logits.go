package qwen25vl

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/passes"
	"mnnconv/schemas/op"
)

// projecting are the operators that a head multiplies hidden states by its weights
// with.
var projecting = []string{"MatMul", "MatMulNBits", "MatMulBnb4", "MatMulInteger", "QLinearMatMul", "Gemm", "FusedMatMul"}

// logitsAt is the constant that says which token's logits are computed.
const logitsAt = "logits_at"

// selectLogits lets the graph compute logits only for the last token: a Gather on
// the token axis stands before the last projection, in place of the selection an
// exporter may have put there. It returns the vocabulary's size.
//
// From the logits it walks back to the only value that all before them is computed
// from, past the projection: what lies between, of whatever operators, takes the
// rows that it is given.
func selectLogits(g *graph.Graph, d *decoderPart, table op.Table) (int64, error) {
	logits := named(g.Outputs, d.logits)
	s := logits.Type.Shape
	if len(s) != 3 {
		return 0, fmt.Errorf("%w: output %q is %s, expected [batch, tokens, vocabulary]", ErrFamily, logits.Name, logits.Type)
	}
	vocabulary, ok := s[2].Int()
	if !ok {
		return 0, fmt.Errorf("%w: the vocabulary of output %q is not declared", ErrFamily, logits.Name)
	}
	at := g.NewConst(logitsAt, graph.Ints([]int64{-1}))
	order := map[*graph.Node]int{}
	for i, n := range g.Nodes {
		order[n] = i
	}
	open := map[*graph.Value]bool{logits: true}
	var passed []*graph.Node
	projected := false
	for range len(g.Nodes) {
		n := lastOf(open, order)
		if n == nil || n.Is("Attention") {
			break
		}
		for _, v := range n.Outputs {
			delete(open, v)
		}
		if x := n.In(0); selects(n) { // the exporter's choice, which ours takes the place of
			g.Replace(map[*graph.Value]*graph.Value{n.Outputs[0]: x})
			if n.Outputs[0] == logits {
				logits, d.logits = x, x.Name
			}
			open[x] = true
		} else {
			passed = append(passed, n)
			projected = projected || slices.Contains(projecting, n.Op)
			n.Reads(func(v *graph.Value) {
				if v.Const == nil {
					open[v] = true
				}
			})
		}
		x := only(open)
		if !projected || !hasTokens(x) || !x.Type.DType.IsFloat() || selects(x.Def) {
			continue
		}
		y := gatherRows(g, passed[len(passed)-1], x, at)
		for _, reader := range passed {
			for i, v := range reader.Inputs {
				if v == x {
					reader.Inputs[i] = y
				}
			}
		}
		return vocabulary, reinfer(g, table)
	}
	return 0, fmt.Errorf("%w: output %q does not come from a projection of [batch, tokens, width]", ErrFamily, logits.Name)
}

// selects reports whether a node takes rows of [batch, tokens, width].
func selects(n *graph.Node) bool {
	switch {
	case n == nil || !hasTokens(n.In(0)) || n.Out(0) == nil || len(n.Outputs[0].Type.Shape) != 3:
		return false
	case n.Is("Gather"):
		axis := n.Int("axis", 0)
		return axis == 1 || axis == -2
	case n.Is("Slice"):
		axes := n.In(3)
		return axes != nil && (sameInts(axes.Const, []int64{1}) || sameInts(axes.Const, []int64{-2}))
	}
	return false
}

// lastOf returns the last node that computes one of the values.
func lastOf(open map[*graph.Value]bool, order map[*graph.Node]int) *graph.Node {
	var last *graph.Node
	for v := range open {
		if v.Def != nil && (last == nil || order[v.Def] > order[last]) {
			last = v.Def
		}
	}
	return last
}

// only returns the one value of a set of one.
func only(open map[*graph.Value]bool) *graph.Value {
	if len(open) != 1 {
		return nil
	}
	for v := range open {
		return v
	}
	return nil
}

func hasTokens(v *graph.Value) bool {
	return v != nil && len(v.Type.Shape) == 3 && v.Type.Shape[1].Equal(graph.Sym(tokens))
}

// gatherRows puts a Gather of the tokens in at before a node.
func gatherRows(g *graph.Graph, before *graph.Node, x, at *graph.Value) *graph.Value {
	n := g.NewNode("", "Gather", passes.Opset, []*graph.Value{x, at}, "logits_rows")
	n.SetAttr("axis", 1)
	n.Name = before.Name
	i := slices.Index(g.Nodes, before)
	g.Nodes = slices.Insert(g.Nodes, i, n)
	return n.Outputs[0]
}

func reinfer(g *graph.Graph, table op.Table) error {
	g.RemoveDead()
	_, err := passes.Infer(g, table)
	return err
}
