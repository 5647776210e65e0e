package gpu

import (
	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// blocks is kernels/product.cl's Blocks.
type blocks struct {
	Block, Blocks, Zeros, Zero, ZerosRow, ScaleType, Row int32
}

// The kinds of zero points.
const (
	zerosPacked = 1
	zerosFloat  = 2
)

// nbitsProduct covers onnxruntime's MatMulNBits with constant weights of 4 or 8 bits.
func nbitsProduct(n *graph.Node, _ map[*graph.Value][]graph.Use) (*product, bool) {
	if n.Domain != op.Microsoft || n.Op != "MatMulNBits" || n.In(4) != nil || n.Int("weight_prepacked", 0) != 0 {
		return nil, false
	}
	if !areFloats(n.In(0)) || len(n.In(0).Type.Shape) == 0 || n.In(1) == nil || n.In(1).Const == nil || !areFloats(n.In(2)) || n.In(2).Const == nil {
		return nil, false
	}
	bits, size, width, depth := n.Int("bits", 4), n.Int("block_size", 0), n.Int("N", 0), n.Int("K", 0)
	if bits != 4 && bits != 8 || size < 16 || size > 256 || size&(size-1) != 0 || width < 1 || depth < 1 || width*depth > maxElements {
		return nil, false
	}
	perRow := ceil(int(depth), int(size))
	b := blocks{Block: int32(size), Blocks: int32(perRow), Zero: 1 << (bits - 1), Row: int32(perRow * int(size*bits/8))}
	b.ZerosRow = int32(ceil(perRow*int(bits), 8) * 8 / int(bits))
	b.ScaleType = int32(n.In(2).Type.DType)
	if n.In(1).Const.Size() != width*int64(b.Row) || n.In(2).Const.Len() != int(width)*perRow {
		return nil, false
	}
	if z := n.In(3); z != nil {
		switch {
		case z.Const == nil:
			return nil, false
		case z.Type.DType == n.In(2).Type.DType && z.Const.Len() == int(width)*perRow:
			b.Zeros = zerosFloat
		case z.Type.DType == graph.Uint8 && z.Const.Len() == int(width)*ceil(perRow*int(bits), 8):
			b.Zeros = zerosPacked
		default:
			return nil, false
		}
	}
	p := &product{nodes: []*graph.Node{n}, in: n.Inputs, alpha: 1, beta: 1, columns: true}
	if bias := n.In(5); bias != nil {
		if n.Out(0) == nil || !isRow(bias, n.Out(0)) {
			return nil, false
		}
		p.bias = 5
	}
	kind := q4
	if bits == 8 {
		kind = q8
	}
	given := n.In(3) != nil
	p.weights = func(r *Recorder) (weights, error) {
		var zeros *Tensor
		if given { // in may go on behind the node's inputs
			zeros = r.In[3]
		}
		return weights{kind: kind, n: int(width), k: int(depth), args: []any{r.In[1], r.In[2], zeros, b}}, nil
	}
	return p, true
}
