package op

import (
	"slices"

	"mnnconv/graph"
)

// CenterCropPad is ONNX CenterCropPad.
var CenterCropPad = &Op{
	Name: "CenterCropPad", Since: 18,
	Doc:    "The middle of the input along axes (default: all), cut or padded with zeros to the extents of shape; an odd element goes after.",
	Inputs: []string{"input_data", "shape"}, Outputs: []string{"output_data"}, Attrs: []string{"axes"},
	Infer: func(in *Inference) error {
		t := in.Type(0)
		in.SetTensor(0, t.DType, nil)
		if !t.Shape.Ranked() {
			return nil
		}
		axes, err := cropAxes(in.Node, len(t.Shape))
		if err != nil {
			return err
		}
		extents, ok := in.Elements(1)
		if !ok {
			extents = in.FreshShape("crop", len(axes))
		}
		if len(extents) != len(axes) {
			return in.Errorf("%d extents for axes %v", len(extents), axes)
		}
		s := slices.Clone(t.Shape)
		for i, a := range axes {
			s[a] = extents[i]
		}
		in.SetTensor(0, t.DType, s)
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		axes, err := cropAxes(c.Node, len(x.Shape))
		if err != nil {
			return err
		}
		extents, err := c.Arg(1).Int64s()
		if err != nil {
			return err
		}
		if len(extents) != len(axes) {
			return inputErrorf("extents %v for axes %v", extents, axes)
		}
		shape := slices.Clone(x.Shape)
		for i, a := range axes {
			shape[a] = extents[i]
		}
		out, err := c.New(0, x.DType, shape...)
		if err != nil || out.Len() == 0 || x.Len() == 0 {
			return err
		}
		m, err := newMover(out, x)
		if err != nil {
			return err
		}
		common := make([]int64, len(shape))
		from, to := 0, 0
		src, dst := rowStrides(x.Shape), rowStrides(shape)
		for i := range shape {
			common[i] = min(shape[i], x.Shape[i])
			from += int(x.Shape[i]-common[i]) / 2 * src[i]
			to += int(shape[i]-common[i]) / 2 * dst[i]
		}
		at := make([]int64, len(shape))
		for range count(common) {
			i, k := from, to
			for d, p := range at {
				i += int(p) * src[d]
				k += int(p) * dst[d]
			}
			m.copy(k, i, 1)
			step(at, common)
		}
		return nil
	},
	Cases: func() []Case {
		x := graph.Ints([]int64{1, 2, 3, 4, 5, 6}, 2, 3)
		return []Case{
			{Name: "crop and pad", In: []*graph.Tensor{x, graph.Ints([]int64{3, 1})}, Want: []*graph.Tensor{graph.Ints([]int64{2, 5, 0}, 3, 1)}},
			{
				Name: "axes", Attrs: []graph.Attr{{Name: "axes", Value: []int64{-1}}}, In: []*graph.Tensor{x, graph.Ints([]int64{2})},
				Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 4, 5}, 2, 2)},
			},
		}
	},
}

func cropAxes(n *graph.Node, rank int) ([]int, error) {
	axes := n.Ints("axes")
	if axes == nil {
		axes = firstAxes(rank)
	}
	return axesOf(axes, rank)
}
