package op

import "mnnconv/graph"

// SpaceToDepth is ONNX SpaceToDepth.
var SpaceToDepth = &Op{
	Name: "SpaceToDepth", Since: 1,
	Doc:    "[N, C, H·b, W·b] to [N, b·b·C, H, W] with b = blocksize: the inverse of DepthToSpace in mode DCR.",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"blocksize"},
	Infer: func(in *Inference) error {
		s, err := in.ranked(0, 4)
		if err != nil {
			return err
		}
		b, err := blockSize(in.Node)
		if err != nil || s == nil {
			in.SetTensor(0, in.Type(0).DType, nil)
			return err
		}
		for _, d := range s[2:] {
			if n, ok := d.Int(); ok && n%b != 0 {
				return in.Errorf("shape %s is not in blocks of %d", s, b)
			}
		}
		side := graph.Const(b)
		in.SetTensor(0, in.Type(0).DType, graph.Shape{s[0], s[1].Mul(graph.Const(b * b)), s[2].Div(side), s[3].Div(side)})
		return nil
	},
	Eval: func(c *Call) error {
		if err := c.wantRank(0, 4); err != nil {
			return err
		}
		x := c.Arg(0)
		b, err := blockSize(c.Node)
		if err != nil {
			return err
		}
		n, channels, h, w := x.Shape[0], x.Shape[1], x.Shape[2]/b, x.Shape[3]/b
		depth, ok := graph.CheckedMul(channels, b*b)
		if !ok || h*b != x.Shape[2] || w*b != x.Shape[3] {
			return inputErrorf("shape %v is not in blocks of %d", x.Shape, b)
		}
		m, err := c.moveTo(0, x, n, depth, h, w)
		if err != nil {
			return err
		}
		s := rowStrides([]int64{n, channels, h, b, w, b})
		m.strided([]int64{n, b, b, channels, h, w}, 0, []int{s[0], s[3], s[5], s[1], s[2], s[4]})
		return nil
	},
	Cases: func() []Case {
		block := []graph.Attr{{Name: "blocksize", Value: int64(2)}}
		return []Case{{
			Name: "two channels", In: []*graph.Tensor{graph.Floats([]float32{1, 3, 5, 7, 2, 4, 6, 8}, 1, 2, 2, 2)}, Attrs: block,
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 8, 1, 1)},
		}, {
			Name: "wide", In: []*graph.Tensor{graph.Ints([]int64{1, 3, 2, 4, 5, 7, 6, 8}, 1, 1, 2, 4)}, Attrs: block,
			Want: []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 4, 5, 6, 7, 8}, 1, 4, 1, 2)},
		}, {
			Name: "no elements", In: []*graph.Tensor{graph.Ints(nil, 1, 1, 0, 2)}, Attrs: block, Want: []*graph.Tensor{graph.Ints(nil, 1, 4, 0, 1)},
		}}
	},
}
