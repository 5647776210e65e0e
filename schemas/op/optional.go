package op

import "mnnconv/graph"

// Optional is ONNX Optional.
var Optional = &Op{
	Name: "Optional", Since: 15,
	Doc:    "An optional that holds the input, or an empty one of the attribute's type.",
	Inputs: []string{"input?"}, Outputs: []string{"output"}, Attrs: []string{"type"},
	Containers: true,
	Infer: func(in *Inference) error {
		e := in.Type(0)
		if !in.Has(0) {
			var ok bool
			if e, ok = in.Node.Attr("type").(graph.Type); !ok {
				return inputErrorf("neither an input nor a type")
			}
		}
		e.Space = ""
		in.Set(0, graph.Type{Kind: graph.OptionalKind, Elem: &e})
		return nil
	},
	Eval: func(c *Call) error {
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

// optionalTensor returns an optional that holds t; nil: an empty one.
func optionalTensor(t *graph.Tensor) *graph.Tensor {
	if t == nil {
		return &graph.Tensor{Kind: graph.OptionalKind}
	}
	return &graph.Tensor{Kind: graph.OptionalKind, Elems: []*graph.Tensor{t}}
}
