package op

import (
	"fmt"
	"math"

	"mnnconv/graph"
)

// Loop is ONNX Loop.
var Loop = &Op{
	Name: "Loop", Since: 1,
	Doc: "Runs body (iteration, condition, carried…) → (condition, carried…, results…) at most M times and while cond is true, and " +
		"gives the last carried values and the results stacked along a new first axis. Without cond the body's condition is ignored.",
	Inputs: []string{"M?", "cond?", "v_initial..."}, Outputs: []string{"v_final_and_scan_outputs..."},
	Containers: true,
	Infer:      inferLoop,
	Eval:       evalLoop,
	Cases: func() []Case {
		// sum += i; the condition stays while sum < 3; each i·sum is a result.
		body := func() []*graph.Body {
			g := graph.New("body")
			i := g.NewInput("i", graph.TensorOf(graph.Int64))
			g.NewInput("go", graph.TensorOf(graph.Bool))
			sum := g.NewInput("sum", graph.TensorOf(graph.Int64))
			add := g.NewNode("", "Add", 14, []*graph.Value{sum, i}, "sum_out")
			less := g.NewNode("", "Less", 13, []*graph.Value{add.Outputs[0], g.NewConst("three", graph.Scalar(3))}, "go_out")
			mul := g.NewNode("", "Mul", 14, []*graph.Value{i, add.Outputs[0]}, "product")
			g.Append(add, less, mul)
			g.Outputs = []*graph.Value{less.Outputs[0], add.Outputs[0], mul.Outputs[0]}
			return []*graph.Body{{Attr: "body", Graph: g}}
		}
		// The carried tensor grows by one element an iteration.
		growing := func() []*graph.Body {
			g := graph.New("body")
			i := g.NewInput("i", graph.TensorOf(graph.Int64))
			cond := g.NewInput("go", graph.TensorOf(graph.Bool))
			sofar := g.NewInput("sofar", graph.TensorOf(graph.Int64, 0))
			one := g.NewNode("", "Unsqueeze", 13, []*graph.Value{i, g.NewConst("axis", graph.Ints([]int64{0}))}, "one")
			cat := g.NewNode("", "Concat", 13, []*graph.Value{sofar, one.Outputs[0]}, "longer")
			cat.SetAttr("axis", 0)
			g.Append(one, cat)
			g.Outputs = []*graph.Value{cond, cat.Outputs[0]}
			return []*graph.Body{{Attr: "body", Graph: g}}
		}
		// Each i goes to the end of a sequence.
		collecting := func() []*graph.Body {
			g := graph.New("body")
			i := g.NewInput("i", graph.TensorOf(graph.Int64))
			cond := g.NewInput("go", graph.TensorOf(graph.Bool))
			list := g.NewInput("list", graph.Type{Kind: graph.SequenceKind, Elem: &graph.Type{DType: graph.Int64}})
			insert := g.NewNode("", "SequenceInsert", 11, []*graph.Value{list, i}, "list_out")
			g.Append(insert)
			g.Outputs = []*graph.Value{cond, insert.Outputs[0]}
			return []*graph.Body{{Attr: "body", Graph: g}}
		}
		yes := boolScalar(true)
		return []Case{{
			Name: "until the condition", Bodies: body(), In: []*graph.Tensor{graph.Scalar(10), yes, graph.Scalar(0)},
			Want: []*graph.Tensor{graph.Scalar(3), graph.Ints([]int64{0, 1, 6})},
		}, {
			Name: "without condition", Bodies: body(), In: []*graph.Tensor{graph.Scalar(4), nil, graph.Scalar(0)},
			Want: []*graph.Tensor{graph.Scalar(6), graph.Ints([]int64{0, 1, 6, 18})},
		}, {
			Name: "without count", Bodies: body(), In: []*graph.Tensor{nil, yes, graph.Scalar(2)},
			Want: []*graph.Tensor{graph.Scalar(3), graph.Ints([]int64{0, 3})},
		}, {
			Name: "not at all", Bodies: body(), In: []*graph.Tensor{graph.Scalar(0), yes, graph.Scalar(7)},
			Want: []*graph.Tensor{graph.Scalar(7), graph.Ints(nil)},
		}, {
			Name: "growing", Bodies: growing(), In: []*graph.Tensor{graph.Scalar(3), yes, graph.Ints(nil)},
			Want: []*graph.Tensor{graph.Ints([]int64{0, 1, 2})},
		}, {
			Name: "sequence", Bodies: collecting(), In: []*graph.Tensor{graph.Scalar(2), nil, sequenceTensor()},
			Want: []*graph.Tensor{sequenceTensor(graph.Scalar(0), graph.Scalar(1))},
		}}
	},
}

// loopBody returns the body and the number of carried values.
func loopBody(n *graph.Node) (*graph.Body, int, error) {
	carried := max(len(n.Inputs)-2, 0)
	b, err := checkBody(n, "body", 2+carried, 1+max(carried, len(n.Outputs)))
	return b, carried, err
}

func inferLoop(in *Inference) error {
	b, carried, err := loopBody(in.Node)
	if err != nil {
		return err
	}
	start := make([]graph.Type, carried)
	for i := range start {
		v := in.Node.In(i + 2)
		if start[i] = v.Type; v.Def.Is("SequenceEmpty") {
			start[i].Elem = nil // the body's first element sets the type
		}
	}
	setType(b.Graph.Inputs[0], graph.Type{DType: graph.Int64, Shape: loopScalar(b.Graph.Inputs[0])})
	setType(b.Graph.Inputs[1], graph.Type{DType: graph.Bool, Shape: loopScalar(b.Graph.Inputs[1])})
	types, err := in.carry(b, 2, 1, start)
	if err != nil {
		return err
	}
	outer := in.outerSymbols()
	for i, t := range types {
		switch {
		case t.Kind == graph.SequenceKind && t.Elem == nil:
			t = in.Type(i + 2)
		case t.Kind == graph.OptionalKind && b.Graph.Outputs[1+i].Type.Kind != graph.OptionalKind:
			t = *t.Elem // the body takes an optional and gives what it holds
		}
		in.Set(i, in.outward(t, outer))
	}
	trips := in.loopTrips(b)
	for i, v := range b.Graph.Outputs[1+carried:] {
		t := in.outward(v.Type, outer)
		if t.Kind != graph.TensorKind {
			return in.Errorf("result %d is %s, want a tensor", i, t)
		}
		if t.Shape.Ranked() {
			t.Shape = append(graph.Shape{trips}, t.Shape...)
		}
		in.Set(carried+i, t)
	}
	return nil
}

// loopTrips returns how often the body runs: M, where the condition is absent or
// provably stays true.
func (in *Inference) loopTrips(b *graph.Body) graph.Dim {
	m, ok := in.Elements(0)
	if !ok || len(m) != 1 || in.Has(1) && !in.staysTrue(b) {
		return in.Fresh("trips")
	}
	return maxDim(m[0], graph.Const(0))
}

func (in *Inference) staysTrue(b *graph.Body) bool {
	if cond, ok := in.Ints(1); !ok || len(cond) != 1 || cond[0] == 0 {
		return false
	}
	v := b.Graph.Outputs[0]
	for v.Def.Is("Identity") {
		v = v.Def.Inputs[0]
	}
	if v == b.Graph.Inputs[1] {
		return true
	}
	k, ok := in.facts.Elements(v)
	return ok && len(k) == 1 && k[0].IsConst(1)
}

// loopScalar returns the shape of a body's iteration number or condition: a
// scalar, or a vector of one element where the body declares one.
func loopScalar(v *graph.Value) graph.Shape {
	if len(v.Type.Shape) == 1 {
		return graph.ShapeOf(1)
	}
	return graph.Shape{}
}

// oneElement gives a scalar the shape that loopScalar says.
func oneElement(t *graph.Tensor, v *graph.Value) *graph.Tensor {
	if len(loopScalar(v)) == 1 {
		return t.Reshape(1)
	}
	return t
}

func evalLoop(c *Call) error {
	b, carried, err := loopBody(c.Node)
	if err != nil {
		return err
	}
	trips, cond := int64(math.MaxInt64), true
	if m := c.Arg(0); m != nil {
		v, err := m.Int64s()
		if err != nil {
			return err
		}
		if len(v) != 1 {
			return inputErrorf("M has %d elements, want one", len(v))
		}
		trips = v[0]
	}
	guarded := c.Arg(1) != nil
	if guarded {
		if cond, err = truth(c.Arg(1)); err != nil {
			return err
		}
	}
	args := make([]*graph.Tensor, 2+carried)
	for i := range carried {
		args[2+i] = c.Arg(2 + i)
	}
	results := make([]stack, len(b.Graph.Outputs)-1-carried)
	for i := range results {
		results[i].empty(b.Graph.Outputs[1+carried+i])
	}
	for i := int64(0); i < trips && cond; i++ {
		if err := c.Ctx.Err(); err != nil {
			return err
		}
		args[0] = oneElement(graph.Scalar(i), b.Graph.Inputs[0])
		args[1] = oneElement(boolScalar(cond), b.Graph.Inputs[1])
		outs, err := c.RunBody(b, args)
		if err != nil {
			return fmt.Errorf("iteration %d: %w", i, err)
		}
		if guarded {
			if cond, err = truth(outs[0]); err != nil {
				return fmt.Errorf("iteration %d: %w", i, err)
			}
		}
		args = append(make([]*graph.Tensor, 2, len(args)), outs[1:1+carried]...)
		for k := range results {
			if err := results[k].push(outs[1+carried+k]); err != nil {
				return fmt.Errorf("iteration %d: %w", i, err)
			}
		}
	}
	for i := range carried {
		c.Set(i, args[2+i])
	}
	for k := range results {
		t, err := results[k].tensor()
		if err != nil {
			return fmt.Errorf("result %d: %w", k, err)
		}
		c.Set(carried+k, t)
	}
	return nil
}
