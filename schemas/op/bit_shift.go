package op

import "mnnconv/graph"

// BitShift is ONNX BitShift: element-wise shift of bits with broadcasting.
var BitShift = &Op{
	Name: "BitShift", Since: 11,
	Doc: "Z = X shifted by Y bits to the LEFT or RIGHT, element by element, with multidirectional broadcasting. " +
		"Signed integers keep their sign to the right; a shift by a negative number or by all bits leaves nothing but that sign (as opset 28 defines it).",
	Inputs: []string{"X", "Y"}, Outputs: []string{"Z"},
	Attrs: []string{"direction"},
	Infer: only(isInteger, func(in *Inference) error {
		if d := in.Node.Str("direction", ""); d != "LEFT" && d != "RIGHT" {
			return in.Errorf("direction is %q, want LEFT or RIGHT", d)
		}
		return inferBinary(nil)(in)
	}),
	Eval: func(c *Call) error {
		switch d := c.Node.Str("direction", ""); d {
		case "LEFT":
			return evalBinary(c, arith{
				int: func(a, b int64) (int64, error) {
					if b < 0 {
						return 0, nil
					}
					return a << b, nil
				},
				uint: func(a, b uint64) (uint64, error) { return a << b, nil },
			})
		case "RIGHT":
			return evalBinary(c, arith{
				int: func(a, b int64) (int64, error) {
					if b < 0 {
						b = 63
					}
					return a >> b, nil
				},
				uint: func(a, b uint64) (uint64, error) { return a >> b, nil },
			})
		default:
			return inputErrorf("direction is %q, want LEFT or RIGHT", d)
		}
	},
	Cases: func() []Case {
		left, right := []graph.Attr{{Name: "direction", Value: "LEFT"}}, []graph.Attr{{Name: "direction", Value: "RIGHT"}}
		return []Case{{
			Name: "left", Attrs: left,
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{1, 200, 3}), graph.FromSlice(graph.Uint8, []uint8{9, 1, 2})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint8, []uint8{0, 144, 12})},
		}, {
			Name: "right by a scalar", Attrs: right,
			In:   []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1 << 63, 1}), graph.FromSlice(graph.Uint64, []uint64{1}, []int64{}...)},
			Want: []*graph.Tensor{graph.FromSlice(graph.Uint64, []uint64{1 << 62, 0})},
		}, {
			Name: "signed right", Attrs: right,
			In:   []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-8, -8, -8, 8}), graph.FromSlice(graph.Int32, []int32{1, 32, -1, -1})},
			Want: []*graph.Tensor{graph.FromSlice(graph.Int32, []int32{-4, -1, -1, 0})},
		}}
	},
}
