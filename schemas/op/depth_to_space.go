package op

import (
	"fmt"

	"mnnconv/graph"
)

// DepthToSpace is ONNX DepthToSpace.
var DepthToSpace = &Op{
	Name: "DepthToSpace", Since: 1,
	Doc: "[N, C·b·b, H, W] to [N, C, H·b, W·b] with b = blocksize: channels become blocks of pixels, blocks before channels (mode " +
		"DCR, the default) or after them (CRD).",
	Inputs: []string{"input"}, Outputs: []string{"output"}, Attrs: []string{"blocksize", "mode"},
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
		if n, ok := s[1].Int(); ok && n%(b*b) != 0 {
			return in.Errorf("%d channels are not a multiple of %d", n, b*b)
		}
		side := graph.Const(b)
		in.SetTensor(0, in.Type(0).DType, graph.Shape{s[0], s[1].Div(graph.Const(b * b)), s[2].Mul(side), s[3].Mul(side)})
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
		n, depth, h, w := x.Shape[0], x.Shape[1]/(b*b), x.Shape[2], x.Shape[3]
		if depth*b*b != x.Shape[1] {
			return inputErrorf("%d channels are not a multiple of %d", x.Shape[1], b*b)
		}
		tall, ok := graph.CheckedMul(h, b)
		wide, ok2 := graph.CheckedMul(w, b)
		if !ok || !ok2 {
			return inputErrorf("shape %v in blocks of %d", x.Shape, b)
		}
		m, err := c.moveTo(0, x, n, depth, tall, wide)
		if err != nil {
			return err
		}
		switch mode := c.Node.Str("mode", "DCR"); mode {
		case "DCR": // input as [n, by, bx, depth, h, w]
			s := rowStrides([]int64{n, b, b, depth, h, w})
			m.strided([]int64{n, depth, h, b, w, b}, 0, []int{s[0], s[3], s[4], s[1], s[5], s[2]})
		case "CRD": // input as [n, depth, by, bx, h, w]
			s := rowStrides([]int64{n, depth, b, b, h, w})
			m.strided([]int64{n, depth, h, b, w, b}, 0, []int{s[0], s[1], s[4], s[2], s[5], s[3]})
		default:
			return fmt.Errorf("mode %q is %w", mode, ErrUnsupported)
		}
		return nil
	},
	Cases: func() []Case {
		x := []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 8, 1, 1)}
		block := graph.Attr{Name: "blocksize", Value: int64(2)}
		return []Case{{
			Name: "DCR", In: x, Attrs: []graph.Attr{block},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 3, 5, 7, 2, 4, 6, 8}, 1, 2, 2, 2)},
		}, {
			Name: "CRD", In: x, Attrs: []graph.Attr{block, {Name: "mode", Value: "CRD"}},
			Want: []*graph.Tensor{graph.Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 2, 2, 2)},
		}, {
			Name: "wide", In: []*graph.Tensor{graph.Ints([]int64{1, 2, 3, 4, 5, 6, 7, 8}, 1, 4, 1, 2)}, Attrs: []graph.Attr{block},
			Want: []*graph.Tensor{graph.Ints([]int64{1, 3, 2, 4, 5, 7, 6, 8}, 1, 1, 2, 4)},
		}}
	},
}

// blockSize returns a node's blocksize, bounded so that its square is a number.
func blockSize(n *graph.Node) (int64, error) {
	b := n.Int("blocksize", 0)
	if b < 1 || b > 1<<20 {
		return 0, inputErrorf("blocksize is %d", b)
	}
	return b, nil
}
