package op

import "mnnconv/graph"

// OptionalGetElement is ONNX OptionalGetElement.
var OptionalGetElement = &Op{
	Name: "OptionalGetElement", Since: 15,
	Doc:    "What an optional holds; a tensor or a sequence as it is. An empty optional is an error.",
	Inputs: []string{"input"}, Outputs: []string{"output"},
	Containers: true,
	Infer: func(in *Inference) error {
		t := in.Type(0)
		if t.Kind == graph.OptionalKind && t.Elem == nil {
			t = graph.Type{}
		} else if t.Kind == graph.OptionalKind {
			t = *t.Elem
		}
		in.Set(0, t)
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if x.Kind == graph.OptionalKind {
			if len(x.Elems) == 0 {
				return inputErrorf("the optional is empty")
			}
			x = x.Elems[0]
		}
		c.Set(0, x)
		return nil
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1})
		return []Case{
			{Name: "held", In: []*graph.Tensor{optionalTensor(x)}, Want: []*graph.Tensor{x}},
			{Name: "tensor", In: []*graph.Tensor{x}, Want: []*graph.Tensor{x}},
			{Name: "sequence", In: []*graph.Tensor{sequenceTensor(x)}, Want: []*graph.Tensor{sequenceTensor(x)}},
		}
	},
}
