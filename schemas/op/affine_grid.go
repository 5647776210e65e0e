package op

import "mnnconv/graph"

// AffineGrid is ONNX AffineGrid.
var AffineGrid = &Op{
	Name: "AffineGrid", Since: 20,
	Doc: "The coordinates, for GridSample, of every element of images of the given size [N, C, spatial...] under the affine maps theta [N, rank, rank+1]: " +
		"theta times (x, y, …, 1), the last axis first, which go from -1 to 1 as align_corners says. Computed in float64 and rounded once.",
	Inputs: []string{"theta", "size"}, Outputs: []string{"grid"}, Attrs: []string{"align_corners"},
	Infer: func(in *Inference) error {
		d := in.Type(0).DType
		in.SetTensor(0, d, nil)
		size, ok := in.Elements(1)
		if !ok {
			return nil
		}
		if len(size) != 4 && len(size) != 5 {
			return in.Errorf("size has %d extents, want 4 or 5", len(size))
		}
		s := append(graph.Shape{size[0]}, size[2:]...)
		in.SetTensor(0, d, append(s, graph.Const(int64(len(size)-2))))
		return nil
	},
	Eval: func(c *Call) error {
		theta := c.Arg(0)
		size, err := c.Arg(1).Int64s()
		if err != nil {
			return err
		}
		if !isReal(theta.DType) {
			return undefinedFor(theta.DType)
		}
		rank := len(size) - 2
		if rank != 2 && rank != 3 || len(theta.Shape) != 3 || theta.Shape[0] != size[0] || theta.Shape[1] != int64(rank) || theta.Shape[2] != int64(rank+1) {
			return inputErrorf("maps of shape %v for images of shape %v", theta.Shape, size)
		}
		m, err := theta.Float64s()
		if err != nil {
			return err
		}
		spatial := size[2:]
		out, err := c.New(0, theta.DType, append(append([]int64{size[0]}, spatial...), int64(rank))...)
		if err != nil || out.Len() == 0 {
			return err
		}
		corners := c.Node.Int("align_corners", 0) != 0
		y, at := make([]float64, out.Len()), make([]int64, rank)
		places := count(spatial)
		for i := range places * int(size[0]) {
			maps := m[i/places*rank*(rank+1):]
			for r := range rank {
				sum := maps[r*(rank+1)+rank]
				for k := range rank {
					a := rank - 1 - k // coordinates begin with the last axis
					n, p := float64(spatial[a]), float64(at[a])
					v := (2*p+1)/n - 1
					if corners {
						v = 2*p/max(n-1, 1) - 1
					}
					sum += float64(maps[r*(rank+1)+k] * v)
				}
				y[i*rank+r] = sum
			}
			step(at, spatial)
		}
		return storeFloats(out, y)
	},
	Cases: func() []Case {
		theta := graph.Floats([]float32{1, 0, 0, 0, 2, 0.5}, 1, 2, 3)
		size := graph.Ints([]int64{1, 1, 2, 1})
		return []Case{
			{Name: "edges", In: []*graph.Tensor{theta, size}, Want: []*graph.Tensor{graph.Floats([]float32{0, -0.5, 0, 1.5}, 1, 2, 1, 2)}},
			{
				Name: "corners", Attrs: []graph.Attr{{Name: "align_corners", Value: int64(1)}},
				In: []*graph.Tensor{theta, size}, Want: []*graph.Tensor{graph.Floats([]float32{-1, -1.5, -1, 2.5}, 1, 2, 1, 2)},
			},
		}
	},
}
