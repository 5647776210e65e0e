package op

import "mnnconv/graph"

// Copy is mnnconv's Copy: how a value gets from one memory space into another.
var Copy = &Op{
	Domain: Mnnconv, Name: "Copy", Since: 1,
	Doc: "The input in another memory space: it changes the space, never the bytes, so that a checksum verifies it. Attributes from " +
		"and to name the spaces. Its function body is Identity.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"from", "to"},
	Containers: true,
	Infer: func(in *Inference) error {
		in.Set(0, in.Type(0))
		in.knowFirst()
		return nil
	},
	Eval: func(c *Call) error {
		c.Set(0, c.Arg(0))
		return nil
	},
	Cases: func() []Case {
		attrs := []graph.Attr{{Name: "from", Value: "cpu"}, {Name: "to", Value: "sim:0"}}
		copied := func(name string, t *graph.Tensor) Case {
			return Case{Name: name, Attrs: attrs, In: []*graph.Tensor{t}, Want: []*graph.Tensor{t}}
		}
		return []Case{
			copied("floats", graph.Floats([]float32{1, 2, 3, 4}, 2, 2)),
			copied("packed", &graph.Tensor{DType: graph.Uint4, Shape: []int64{3}, Data: []byte{0x21, 0x03}}),
			copied("no elements", graph.Ints(nil, 0, 8)),
			copied("strings", words("a", "")),
		}
	},
}
