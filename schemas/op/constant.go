package op

import (
	"fmt"

	"mnnconv/graph"
)

// Constant is ONNX Constant.
var Constant = &Op{
	Name: "Constant", Since: 1,
	Doc:     "The tensor of its one attribute: value, or a scalar or vector of ints, floats or strings. sparse_value is unsupported.",
	Outputs: []string{"output"},
	Attrs: []string{"value", "value_int", "value_ints", "value_float", "value_floats", "value_string", "value_strings",
		"sparse_value"},
	Infer: func(in *Inference) error {
		t, err := constantValue(in.Node)
		if err != nil {
			return err
		}
		in.Set(0, t.Type())
		if t.DType.IsInt() && t.Len() <= maxKnown {
			ints, err := t.Int64s()
			if err != nil {
				return err
			}
			in.Know(0, dimsOf(ints))
		}
		return nil
	},
	Eval: func(c *Call) error {
		t, err := constantValue(c.Node)
		if err == nil {
			c.Set(0, t)
		}
		return err
	},
	Cases: func() []Case {
		want := func(name string, value any, t *graph.Tensor) Case {
			return Case{Name: name, Attrs: []graph.Attr{{Name: name, Value: value}}, Want: []*graph.Tensor{t}}
		}
		half := graph.FromSlice(graph.Float16, []uint16{0x3c00, 0xc000})
		return []Case{
			want("value", half, half),
			want("value_int", int64(-7), graph.Scalar(-7)),
			want("value_ints", []int64{}, graph.Ints(nil)),
			want("value_float", float32(0.5), graph.Floats([]float32{0.5}).Reshape()),
			want("value_floats", []float32{1, 2}, graph.Floats([]float32{1, 2})),
			want("value_string", "a", words("a").Reshape()),
			want("value_strings", []string{"a", "b"}, words("a", "b")),
		}
	},
}

// constantValue returns the tensor of a Constant node.
func constantValue(n *graph.Node) (*graph.Tensor, error) {
	if len(n.Attrs) != 1 {
		return nil, inputErrorf("%d attributes, want exactly one value", len(n.Attrs))
	}
	switch v := n.Attrs[0].Value.(type) {
	case *graph.Tensor:
		if n.Attrs[0].Name == "value" && v != nil && v.Kind == graph.TensorKind {
			return v, nil
		}
	case int64:
		return graph.Scalar(v), nil
	case []int64:
		return graph.Ints(v), nil
	case float32:
		return graph.Floats([]float32{v}).Reshape(), nil
	case []float32:
		return graph.Floats(v), nil
	case string:
		return words(v).Reshape(), nil
	case []string:
		return words(v...), nil
	}
	return nil, fmt.Errorf("attribute %q is %w", n.Attrs[0].Name, ErrUnsupported)
}

// dimsOf returns known integers as dims.
func dimsOf(ints []int64) []graph.Dim {
	dims := make([]graph.Dim, len(ints))
	for i, n := range ints {
		dims[i] = graph.Const(n)
	}
	return dims
}
