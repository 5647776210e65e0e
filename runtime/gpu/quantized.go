package gpu

import (
	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// table is kernels/quantized.cl's Table.
type table struct {
	Rows, Width, Blocks, Block, Bits, Sign, Zero, Zeros int32
}

// lowerGatherBlocks covers com.microsoft GatherBlockQuantized of rows of a table, with
// blocks along them.
func lowerGatherBlocks(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if n.Domain != op.Microsoft || n.Op != "GatherBlockQuantized" || !isIndex(n.In(1)) || !areFloats(n.In(2)) || !isTensor(n.Out(0)) {
		return Group{}, false
	}
	d := n.Inputs[0].Type.DType
	shape, ok := n.Inputs[0].Type.Shape.Ints()
	if !ok || len(shape) != 2 || n.In(3) != nil && n.In(3).Type.DType != d {
		return Group{}, false
	}
	t := table{Rows: int32(shape[0]), Width: int32(shape[1]), Block: int32(min(n.Int("block_size", 128), 1<<30)), Bits: 4}
	switch d {
	case graph.Uint8:
		t.Bits = int32(n.Int("bits", 4))
		if t.Bits != 4 && t.Bits != 8 {
			return Group{}, false
		}
		t.Width *= 8 / t.Bits
		t.Zero = 1 << (t.Bits - 1)
	case graph.Int4:
		t.Sign = 8
	case graph.Uint4:
	default:
		return Group{}, false
	}
	gatherAxis, ok1 := axisOf(n.Int("gather_axis", 0), 2)
	quantizeAxis, ok2 := axisOf(n.Int("quantize_axis", 1), 2)
	if !ok1 || !ok2 || gatherAxis != 0 || quantizeAxis != 1 || t.Block < 1 || shape[0]*int64(t.Width) > maxElements {
		return Group{}, false
	}
	t.Blocks = int32(ceil(int(t.Width), int(t.Block)))
	t.Zeros = t.Blocks
	if d == graph.Uint8 && t.Bits == 4 { // zero points begin a byte with each row
		t.Zeros = (t.Blocks + 1) &^ 1
	}
	g := single(n)
	g.Record = func(r *Recorder) error {
		data, at, scales, zeros, y := r.In[0], r.In[1], r.In[2], r.Optional(3), r.Out[0]
		if scales.Len() != int(t.Rows*t.Blocks) || y.Len() != at.Len()*int(t.Width) || zeros != nil && int(zeros.size) != ceil(int(t.Rows*t.Zeros*t.Bits), 8) {
			return r.mismatch(data, at, scales, zeros, y)
		}
		return r.Launch("quantized", "gather_blocks", over(y.Len()), wide, data, at, typeOf(at), scales, typeOf(scales), zeros, y, y.Len(), t)
	}
	return g, true
}

// lowerDequantize covers ONNX DequantizeLinear of 4 and 8 bits: one scale, one per index
// of an axis, or one per block.
func lowerDequantize(n *graph.Node, _ map[*graph.Value][]graph.Use) (Group, bool) {
	if !n.Is("DequantizeLinear") || !isTensor(n.In(0)) || !areFloats(n.In(1)) || !areFloats(n.Out(0)) || n.In(2) != nil && n.In(2).Type.DType != n.In(0).Type.DType {
		return Group{}, false
	}
	bits, sign := 8, 0
	switch n.Inputs[0].Type.DType {
	case graph.Uint8:
	case graph.Int8:
		sign = 128
	case graph.Uint4:
		bits = 4
	case graph.Int4:
		bits, sign = 4, 8
	default:
		return Group{}, false
	}
	rank := len(n.Inputs[0].Type.Shape)
	axis, ok := axisOf(n.Int("axis", 1), rank)
	block := int(n.Int("block_size", 0))
	if block < 0 || block > 0 && !ok {
		return Group{}, false
	}
	g := single(n)
	g.Record = func(r *Recorder) error {
		x, scale, zero, y := r.In[0], r.In[1], r.Optional(2), r.Out[0]
		if y.Len() == 0 {
			return nil
		}
		// Scale i of an element is that of its block along the axis; step is by how many
		// scales the outer axes go on, width how many scales the inner ones have.
		dim, inner, each, step, width := y.Len(), 1, y.Len(), 0, 1
		want := 1
		if block > 0 || scale.Len() != 1 {
			if !ok {
				return r.mismatch(x, scale, zero)
			}
			var outer int
			outer, inner = around(x.Shape, axis)
			dim, each, want = x.At(axis), 1, x.At(axis)
			if block > 0 {
				each, width, step = block, inner, ceil(dim, block)*inner
				want = outer * step
			}
		}
		if scale.Len() != want || zero != nil && zero.Len() != want {
			return r.mismatch(x, scale, zero)
		}
		return r.Launch("quantized", "dequantize", over(y.Len()), wide, x, scale, typeOf(scale), zero, y, typeOf(y), y.Len(), dim, inner, each, step, width, bits, sign)
	}
	return g, true
}
