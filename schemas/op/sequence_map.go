package op

import (
	"fmt"

	"mnnconv/graph"
)

// SequenceMap is ONNX SequenceMap.
var SequenceMap = &Op{
	Name: "SequenceMap", Since: 17,
	Doc: "Runs body once for each element of input_sequence, with the element of the same position of every additional sequence and with additional " +
		"tensors as they are, and gives one sequence for each of its results.",
	Inputs: []string{"input_sequence", "additional_inputs..."}, Outputs: []string{"out_sequence..."},
	Containers: true,
	Infer: func(in *Inference) error {
		b, err := checkBody(in.Node, "body", len(in.Node.Inputs), len(in.Node.Outputs))
		if err != nil {
			return err
		}
		if _, err := in.sequence(); err != nil {
			return err
		}
		for i, v := range b.Graph.Inputs {
			t := in.Type(i)
			if t.Kind == graph.SequenceKind {
				t = in.element(t.Elem)
			}
			setType(v, t)
		}
		if err := in.Body(b); err != nil {
			return err
		}
		outer := in.outerSymbols()
		for i := range in.Node.Outputs {
			in.Set(i, sequenceOf(in.outward(b.Graph.Outputs[i].Type, outer)))
		}
		return nil
	},
	Eval: func(c *Call) error {
		b, err := checkBody(c.Node, "body", len(c.In), len(c.Out))
		if err != nil {
			return err
		}
		s, err := c.sequence()
		if err != nil {
			return err
		}
		outs := make([]*graph.Tensor, len(c.Out))
		for i := range outs {
			outs[i] = sequenceTensor()
		}
		args := make([]*graph.Tensor, len(c.In))
		for k := range s.Elems {
			if err := c.Ctx.Err(); err != nil {
				return err
			}
			for i, x := range c.In {
				if args[i] = x; x.Kind != graph.SequenceKind {
					continue
				}
				if len(x.Elems) != len(s.Elems) {
					return inputErrorf("input %d has %d elements, input 0 has %d", i, len(x.Elems), len(s.Elems))
				}
				args[i] = x.Elems[k]
			}
			results, err := c.RunBody(b, args)
			if err != nil {
				return fmt.Errorf("element %d: %w", k, err)
			}
			for i, t := range outs {
				t.Elems = append(t.Elems, results[i])
			}
		}
		copy(c.Out, outs)
		return nil
	},
	Cases: func() []Case {
		body := func() []*graph.Body {
			g := graph.New("body")
			x, y := g.NewInput("x", graph.Type{}), g.NewInput("y", graph.Type{})
			n := g.NewNode("", "Add", 14, []*graph.Value{x, y}, "sum")
			g.Append(n)
			g.Outputs = n.Outputs
			return []*graph.Body{{Attr: "body", Graph: g}}
		}
		a, b := graph.Ints([]int64{1, 2}), graph.Ints([]int64{3})
		return []Case{{
			Name: "a tensor for all", Bodies: body(),
			In:   []*graph.Tensor{sequenceTensor(a, b), graph.Ints([]int64{10})},
			Want: []*graph.Tensor{sequenceTensor(graph.Ints([]int64{11, 12}), graph.Ints([]int64{13}))},
		}, {
			Name: "two sequences", Bodies: body(),
			In:   []*graph.Tensor{sequenceTensor(a, b), sequenceTensor(a, b)},
			Want: []*graph.Tensor{sequenceTensor(graph.Ints([]int64{2, 4}), graph.Ints([]int64{6}))},
		}}
	},
}
