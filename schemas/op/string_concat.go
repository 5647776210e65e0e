package op

import "mnnconv/graph"

// StringConcat is ONNX StringConcat.
var StringConcat = &Op{
	Name: "StringConcat", Since: 20,
	Doc:    "Z = X followed by Y, element by element, with multidirectional broadcasting.",
	Inputs: []string{"X", "Y"}, Outputs: []string{"Z"},
	Infer: only(isString, inferBinary(nil)),
	Eval: func(c *Call) error {
		x, y := c.Arg(0), c.Arg(1)
		if x.DType != graph.String || y.DType != graph.String {
			return undefinedFor(x.DType)
		}
		shape, err := BroadcastShape(x.Shape, y.Shape)
		if err != nil {
			return err
		}
		z, err := c.New(0, graph.String, shape...)
		if err != nil {
			return err
		}
		return broadcastIndex(shape, x.Shape, y.Shape, func(i, ix, iy int) error {
			z.Strings[i] = x.Strings[ix] + y.Strings[iy]
			return nil
		})
	},
	Cases: func() []Case {
		return []Case{{
			Name: "broadcast",
			In:   []*graph.Tensor{words("a", ""), words("x")},
			Want: []*graph.Tensor{words("ax", "x")},
		}}
	},
}

func isString(d graph.DType) bool { return d == graph.String }
