package op

import (
	"errors"

	"mnnconv/graph"
)

// If is ONNX If.
var If = &Op{
	Name: "If", Since: 1,
	Doc:    "The outputs of then_branch where the one element of cond is true, else those of else_branch.",
	Inputs: []string{"cond"}, Outputs: []string{"outputs..."},
	Infer: inferIf,
	Eval: func(c *Call) error {
		then, other, err := branches(c.Node)
		if err != nil {
			return err
		}
		yes, err := truth(c.Arg(0))
		if err != nil {
			return err
		}
		if !yes {
			then = other
		}
		outs, err := c.RunBody(then, nil)
		if err != nil {
			return err
		}
		copy(c.Out, outs)
		return nil
	},
	Cases: func() []Case {
		branch := func(attr string, t *graph.Tensor) *graph.Body {
			g := graph.New(attr)
			n := g.NewNode("", "Constant", 13, nil, "value")
			n.SetAttr("value", t)
			g.Append(n)
			g.Outputs = n.Outputs
			return &graph.Body{Attr: attr, Graph: g}
		}
		a, b := graph.Ints([]int64{1, 2}), graph.Ints([]int64{3})
		bodies := func() []*graph.Body { return []*graph.Body{branch("then_branch", a), branch("else_branch", b)} }
		return []Case{
			{Name: "then", In: []*graph.Tensor{boolScalar(true)}, Bodies: bodies(), Want: []*graph.Tensor{a}},
			{Name: "else", In: []*graph.Tensor{graph.FromSlice(graph.Bool, []uint8{0})}, Bodies: bodies(), Want: []*graph.Tensor{b}},
		}
	},
}

// inferIf gives an output what both branches prove of it. A branch that provably
// cannot run (its types contradict each other, as those of a Squeeze guarded by
// the extent do) has no say: the condition will not choose it.
func inferIf(in *Inference) error {
	then, other, err := branches(in.Node)
	if err != nil {
		return err
	}
	if cond, ok := in.Ints(0); ok && len(cond) == 1 {
		if cond[0] == 0 {
			then = other
		}
		if err := in.Body(then); err != nil {
			return err
		}
		in.branch(then)
		return nil
	}
	err = in.Body(then)
	err2 := in.Body(other)
	switch {
	case err == nil && err2 == nil:
	case err == nil && cannotRun(err2):
		in.branch(then)
		return nil
	case err2 == nil && cannotRun(err):
		in.branch(other)
		return nil
	default:
		return errors.Join(err, err2)
	}
	for i := range in.Node.Outputs {
		v, w := then.Graph.Outputs[i], other.Graph.Outputs[i]
		t, err := in.either(v.Type, w.Type)
		if err != nil {
			return err
		}
		in.Set(i, t)
		a, ok := in.facts.Elements(v)
		b, ok2 := in.facts.Elements(w)
		if ok && ok2 && graph.Shape(a).Equal(b) {
			in.Know(i, a)
		}
	}
	return nil
}

// cannotRun reports whether a branch's error proves that running it fails, too.
func cannotRun(err error) bool { return errors.Is(err, graph.ErrType) || errors.Is(err, ErrInput) }

// branch gives the outputs what one branch proves of them.
func (in *Inference) branch(b *graph.Body) {
	for i, v := range b.Graph.Outputs {
		in.Set(i, v.Type)
		if elems, ok := in.facts.Elements(v); ok {
			in.Know(i, elems)
		}
	}
}

func branches(n *graph.Node) (then, other *graph.Body, err error) {
	if then, err = checkBody(n, "then_branch", 0, len(n.Outputs)); err != nil {
		return nil, nil, err
	}
	other, err = checkBody(n, "else_branch", 0, len(n.Outputs))
	return then, other, err
}

// truth returns the value of a bool tensor of one element.
func truth(t *graph.Tensor) (bool, error) {
	if t.DType != graph.Bool || t.Len() != 1 {
		return false, inputErrorf("condition is %s, want one bool", t.Type())
	}
	return t.Data[0] != 0, nil
}
