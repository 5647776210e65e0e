package op

import (
	"slices"

	"mnnconv/graph"
)

// MaxUnpool is ONNX MaxUnpool.
var MaxUnpool = &Op{
	Name: "MaxUnpool", Since: 9,
	Doc: "Zeros but for the elements of X at the places that I names, as MaxPool gives them, counted in the shape that the attributes say; " +
		"output_shape puts that in the front corner of a larger one.",
	Inputs: []string{"X", "I", "output_shape?"}, Outputs: []string{"output"}, Attrs: []string{"kernel_shape", "pads", "strides"},
	Infer: func(in *Inference) error {
		d, x := in.Type(0).DType, in.Type(0).Shape
		in.SetTensor(0, d, nil)
		if !x.Ranked() {
			return nil
		}
		if in.Has(2) {
			s := in.FreshShape("unpool", len(x))
			if elems, ok := in.Elements(2); ok {
				if len(elems) != len(x) {
					return in.Errorf("output_shape has %d extents for shape %s", len(elems), x)
				}
				s = elems
			}
			in.SetTensor(0, d, s)
			return nil
		}
		w, err := unpoolWindow(in.Node, len(x))
		if err != nil {
			return err
		}
		s := append(graph.Shape{}, x...)
		for i := range w.kernel {
			s[i+2] = x[i+2].Sub(graph.Const(1)).Mul(graph.Const(w.stride[i])).Add(graph.Const(w.kernel[i] - w.before[i] - w.after[i]))
		}
		in.SetTensor(0, d, s)
		return nil
	},
	Eval: func(c *Call) error {
		x, at := c.Arg(0), c.Arg(1)
		w, err := unpoolWindow(c.Node, len(x.Shape))
		if err != nil {
			return err
		}
		places, err := at.Int64s()
		if err != nil {
			return err
		}
		if !slices.Equal(at.Shape, x.Shape) {
			return inputErrorf("indices of shape %v for shape %v", at.Shape, x.Shape)
		}
		small := slices.Clone(x.Shape)
		for i := range w.kernel {
			small[i+2] = (x.Shape[i+2]-1)*w.stride[i] + w.kernel[i] - w.before[i] - w.after[i]
		}
		shape := small
		if t := c.Arg(2); t != nil {
			if shape, err = t.Int64s(); err != nil {
				return err
			}
			if len(shape) != len(small) {
				return inputErrorf("output_shape %v for shape %v", shape, x.Shape)
			}
		}
		for i, n := range small {
			if n < 0 || n > shape[i] {
				return inputErrorf("output_shape %v is smaller than %v", shape, small)
			}
		}
		out, err := c.New(0, x.DType, shape...)
		if err != nil {
			return err
		}
		m, err := newMover(out, x)
		if err != nil {
			return err
		}
		n, err := graph.Elements(small)
		if err != nil {
			return inputErrorf("%v", err)
		}
		strides := rowStrides(shape)
		for i, p := range places {
			if p < 0 || p >= n {
				return inputErrorf("index %d of %d elements", p, n)
			}
			to := 0
			for d := len(small) - 1; d >= 0; d-- {
				to += int(p%small[d]) * strides[d]
				p /= small[d]
			}
			m.copy(to, i, 1)
		}
		return nil
	},
	Cases: func() []Case {
		attrs := []graph.Attr{{Name: "kernel_shape", Value: []int64{2}}, {Name: "strides", Value: []int64{2}}}
		x, at := graph.Floats([]float32{5, 7}, 1, 1, 2), graph.Ints([]int64{1, 2}, 1, 1, 2)
		return []Case{
			{Name: "no shape", Attrs: attrs, In: []*graph.Tensor{x, at}, Want: []*graph.Tensor{graph.Floats([]float32{0, 5, 7, 0}, 1, 1, 4)}},
			{Name: "a larger shape", Attrs: attrs, In: []*graph.Tensor{x, at, graph.Ints([]int64{1, 1, 6})}, Want: []*graph.Tensor{graph.Floats([]float32{0, 5, 7, 0, 0, 0}, 1, 1, 6)}},
		}
	},
}

func unpoolWindow(n *graph.Node, rank int) (*window, error) {
	kernel := n.Ints("kernel_shape")
	if len(kernel) == 0 || rank != len(kernel)+2 {
		return nil, inputErrorf("kernel_shape is %v for rank %d", kernel, rank)
	}
	return newWindow(n, kernel)
}
