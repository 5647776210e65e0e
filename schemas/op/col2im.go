package op

import "mnnconv/graph"

// Col2Im is ONNX Col2Im.
var Col2Im = &Op{
	Name: "Col2Im", Since: 18,
	Doc: "Images [N, C, image_shape...] from columns [N, C·taps, places]: every column adds its elements to what a block of block_shape covers at its place. " +
		"Sums are kept in float64 and rounded once.",
	Inputs: []string{"input", "image_shape", "block_shape"}, Outputs: []string{"output"}, Attrs: []string{"dilations", "pads", "strides"},
	Infer: func(in *Inference) error {
		x, d := in.Type(0).Shape, in.Type(0).DType
		in.SetTensor(0, d, nil)
		image, ok := in.Elements(1)
		block, known := in.Ints(2)
		if !ok || !x.Ranked() {
			return nil
		}
		if len(x) != 3 {
			return in.Errorf("columns of shape %s, want rank 3", x)
		}
		s := append(graph.Shape{x[0], in.Fresh("channels")}, image...)
		if taps, err := graph.Elements(block); known && err == nil && taps > 0 {
			s[1] = x[1].Div(graph.Const(taps))
		}
		in.SetTensor(0, d, s)
		return nil
	},
	Eval: func(c *Call) error {
		x := c.Arg(0)
		if !isReal(x.DType) {
			return undefinedFor(x.DType)
		}
		if err := c.wantRank(0, 3); err != nil {
			return err
		}
		image, err := c.Arg(1).Int64s()
		if err != nil {
			return err
		}
		block, err := c.Arg(2).Int64s()
		if err != nil {
			return err
		}
		if len(block) == 0 || len(image) != len(block) {
			return inputErrorf("blocks of shape %v on images of shape %v", block, image)
		}
		w, err := newWindow(c.Node, block)
		if err != nil {
			return err
		}
		if err := checkSizes("image_shape", image, len(block), 0); err != nil {
			return err
		}
		if err := w.fit(image); err != nil {
			return err
		}
		taps, err := graph.Elements(block)
		if err != nil {
			return inputErrorf("%v", err)
		}
		places, err := graph.Elements(w.out)
		if err != nil || places != x.Shape[2] || x.Shape[1]%taps != 0 {
			return inputErrorf("columns of shape %v for blocks of %v at %v places", x.Shape, block, w.out)
		}
		v, err := x.Float64s()
		if err != nil {
			return err
		}
		out, err := c.New(0, x.DType, append([]int64{x.Shape[0], x.Shape[1] / taps}, image...)...)
		if err != nil {
			return err
		}
		y, plane := make([]float64, out.Len()), count(image)
		columns := int(taps * places)
		for i := 0; i*columns < len(v) && plane > 0; i++ {
			to, from := y[i*plane:][:plane], v[i*columns:][:columns]
			w.positions(func(p int, origin []int64) {
				w.each(origin, func(tap, at int) { to[at] += from[tap*int(places)+p] })
			})
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		return []Case{{
			Name: "overlapping blocks",
			In:   []*graph.Tensor{graph.Floats([]float32{1, 2, 10, 20}, 1, 2, 2), graph.Ints([]int64{3}), graph.Ints([]int64{2})},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 12, 20}, 1, 1, 3)},
		}}
	},
}
