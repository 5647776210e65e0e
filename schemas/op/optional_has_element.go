package op

import "mnnconv/graph"

// OptionalHasElement is ONNX OptionalHasElement.
var OptionalHasElement = &Op{
	Name: "OptionalHasElement", Since: 15,
	Doc:    "Whether the input is there and, if it is an optional, holds an element: a bool scalar.",
	Inputs: []string{"input?"}, Outputs: []string{"output"},
	Containers: true,
	Infer: func(in *Inference) error {
		in.SetTensor(0, graph.Bool, graph.Shape{})
		if !in.Has(0) {
			in.Know(0, []graph.Dim{graph.Const(0)})
		} else if in.Type(0).Kind != graph.OptionalKind {
			in.Know(0, []graph.Dim{graph.Const(1)})
		}
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		c.Set(0, boolScalar(x != nil && (x.Kind != graph.OptionalKind || len(x.Elems) > 0)))
		return nil
	},
	Cases: func() []Case {
		x := graph.Floats([]float32{1})
		yes, no := []*graph.Tensor{boolScalar(true)}, []*graph.Tensor{boolScalar(false)}
		return []Case{
			{Name: "held", In: []*graph.Tensor{optionalTensor(x)}, Want: yes},
			{Name: "tensor", In: []*graph.Tensor{x}, Want: yes},
			{Name: "empty", In: []*graph.Tensor{optionalTensor(nil)}, Want: no},
			{Name: "absent", Want: no},
		}
	},
}

// boolScalar returns a bool tensor without extents.
func boolScalar(b bool) *graph.Tensor {
	return graph.FromSlice(graph.Bool, []uint8{bit(b)}).Reshape()
}
