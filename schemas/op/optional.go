package op

import "mnnconv/graph"

// Optional is ONNX Optional.
var Optional = &Op{
	Name: "Optional", Since: 15,
	Doc:    "An optional that holds the input, or an empty one of the attribute's type.",
	Inputs: []string{"input?"}, Outputs: []string{"output"}, Attrs: []string{"type"},
	Containers: true,
	Infer: func(in *Inference) error {
		e, err := in.Type(0), error(nil)
		if !in.Has(0) {
			if e, err = optionalType(in.Node); err != nil {
				return err
			}
		}
		e.Space = ""
		in.Set(0, graph.Type{Kind: graph.OptionalKind, Elem: &e})
		return nil
	},
	Eval: func(c *Call) error {
		if c.Arg(0) == nil {
			if _, err := optionalType(c.Node); err != nil {
				return err
			}
		}
		c.Set(0, optionalTensor(c.Arg(0)))
		return nil
	},
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2})
		typ := []graph.Attr{{Name: "type", Value: graph.TensorOf(graph.Float32)}}
		return []Case{
			{Name: "tensor", In: []*graph.Tensor{x}, Want: []*graph.Tensor{optionalTensor(x)}},
			{Name: "sequence", In: []*graph.Tensor{sequenceTensor(x)}, Want: []*graph.Tensor{optionalTensor(sequenceTensor(x))}},
			{Name: "empty", Attrs: typ, Want: []*graph.Tensor{optionalTensor(nil)}},
		}
	},
}

// optionalType returns the type that an Optional without input is empty of.
func optionalType(n *graph.Node) (graph.Type, error) {
	t, ok := n.Attr("type").(graph.Type)
	if !ok {
		return t, inputErrorf("neither an input nor a type")
	}
	return t, nil
}

// optionalTensor returns an optional that holds t; nil: an empty one.
func optionalTensor(t *graph.Tensor) *graph.Tensor {
	if t == nil {
		return &graph.Tensor{Kind: graph.OptionalKind}
	}
	return &graph.Tensor{Kind: graph.OptionalKind, Elems: []*graph.Tensor{t}}
}
