package op

import "mnnconv/graph"

// ConstantOfShape is ONNX ConstantOfShape.
var ConstantOfShape = &Op{
	Name: "ConstantOfShape", Since: 9,
	Doc:    "A tensor of the shape that the input lists, filled with the one element of value (default: float32 0).",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"value"},
	Infer: func(in *Inference) error {
		value, err := fillValue(in.Node)
		if err != nil {
			return err
		}
		elems, ok := in.partial(0)
		if !ok {
			in.SetTensor(0, value.DType, nil)
			return nil
		}
		dims := in.orFresh("constant_of_shape", elems)
		for _, d := range dims {
			if n, ok := d.Int(); ok && n < 0 {
				return in.Errorf("shape %s has a negative extent", graph.Shape(dims))
			}
		}
		in.SetTensor(0, value.DType, append(graph.Shape{}, dims...))
		if value.DType.IsInt() && in.smallOutputs() {
			n, _ := graph.Shape(dims).Elements().Int()
			v, err := value.Int64s()
			if err != nil {
				return err
			}
			elems := make([]graph.Dim, n)
			for i := range elems {
				elems[i] = graph.Const(v[0])
			}
			in.Know(0, elems)
		}
		return nil
	},
	Eval: func(c *Call) error {
		value, err := fillValue(c.Node)
		if err != nil {
			return err
		}
		shape, err := c.Arg(0).Int64s()
		if err != nil {
			return err
		}
		m, err := c.moveTo(0, value, shape...)
		if err != nil {
			return err
		}
		m.strided(shape, 0, make([]int, len(shape)))
		return nil
	},
	Cases: func() []Case {
		ones := []graph.Attr{{Name: "value", Value: graph.Ints([]int64{1})}}
		return []Case{{
			Name: "zeros", In: []*graph.Tensor{graph.Ints([]int64{2, 1})},
			Want: []*graph.Tensor{graph.Floats([]float32{0, 0}, 2, 1)},
		}, {
			Name: "ones", In: []*graph.Tensor{graph.Ints([]int64{3})}, Attrs: ones,
			Want: []*graph.Tensor{graph.Ints([]int64{1, 1, 1})},
		}, {
			Name: "scalar", In: []*graph.Tensor{graph.Ints(nil)}, Attrs: ones,
			Want: []*graph.Tensor{graph.Scalar(1)},
		}, {
			Name: "no elements", In: []*graph.Tensor{graph.Ints([]int64{0, 4})}, Attrs: ones,
			Want: []*graph.Tensor{graph.Ints(nil, 0, 4)},
		}}
	},
}

// fillValue returns the one-element tensor that a ConstantOfShape node repeats.
func fillValue(n *graph.Node) (*graph.Tensor, error) {
	v := n.Tensor("value")
	if v == nil {
		return graph.Floats([]float32{0}), nil
	}
	if v.Kind != graph.TensorKind || v.Len() != 1 {
		return nil, inputErrorf("value has shape %v, want one element", v.Shape)
	}
	return v, nil
}
