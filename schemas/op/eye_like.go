package op

import (
	"fmt"

	"mnnconv/graph"
)

// EyeLike is ONNX EyeLike.
var EyeLike = &Op{
	Name: "EyeLike", Since: 9,
	Doc:    "A matrix of the input's shape with ones at [i, i+k] and zeros elsewhere, of the input's dtype or that of the attribute.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"dtype", "k"},
	Infer: func(in *Inference) error {
		s, err := in.ranked(0, 2)
		if err != nil {
			return err
		}
		d, err := dtypeAttr(in.Node, "dtype")
		if err != nil {
			return err
		}
		if d == graph.Undefined {
			d = in.Type(0).DType
		}
		in.SetTensor(0, d, s)
		return nil
	},
	Eval: func(c *Call) error {
		if err := c.wantRank(0, 2); err != nil {
			return err
		}
		shape := c.Arg(0).Shape
		d, err := dtypeAttr(c.Node, "dtype")
		if err != nil {
			return err
		}
		if d == graph.Undefined {
			d = c.Arg(0).DType
		}
		one, err := oneOf(d)
		if err != nil {
			return err
		}
		m, err := c.moveTo(0, one, shape...)
		if err != nil || m.dst.Len() == 0 {
			return err
		}
		k := min(max(c.Node.Int("k", 0), -shape[0]), shape[1])
		for i := max(0, -k); i < min(shape[0], shape[1]-k); i++ {
			m.copy(int(i*shape[1]+i+k), 0, 1)
		}
		return nil
	},
	Cases: func() []Case {
		x := graph.Ints(make([]int64, 6), 2, 3)
		attrs := func(dtype graph.DType, k int64) []graph.Attr {
			return []graph.Attr{{Name: "dtype", Value: int64(dtype)}, {Name: "k", Value: k}}
		}
		return []Case{
			{Name: "same dtype", In: []*graph.Tensor{x}, Want: []*graph.Tensor{graph.Ints([]int64{1, 0, 0, 0, 1, 0}, 2, 3)}},
			{Name: "above", In: []*graph.Tensor{x}, Attrs: attrs(graph.Float32, 2), Want: []*graph.Tensor{graph.Floats([]float32{0, 0, 1, 0, 0, 0}, 2, 3)}},
			{
				Name: "below", In: []*graph.Tensor{x}, Attrs: attrs(graph.Float16, -1),
				Want: []*graph.Tensor{graph.FromSlice(graph.Float16, []uint16{0, 0, 0, 0x3c00, 0, 0}, 2, 3)},
			},
			{Name: "outside", In: []*graph.Tensor{x}, Attrs: attrs(graph.Bool, 3), Want: []*graph.Tensor{graph.FromSlice(graph.Bool, make([]uint8, 6), 2, 3)}},
		}
	},
}

// oneOf returns a tensor that holds one 1.
func oneOf(d graph.DType) (*graph.Tensor, error) {
	t, err := graph.NewTensor(d, 1)
	if err != nil {
		return nil, err
	}
	switch {
	case isReal(d):
		return t, t.SetFloat32s([]float32{1})
	case isInteger(d) || d == graph.Bool:
		t.Data[0] = 1
		return t, nil
	}
	return nil, fmt.Errorf("not defined for %s: %w", d, ErrUnsupported)
}
