package host

import (
	"fmt"
	"slices"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// gatherQuantized is com.microsoft GatherBlockQuantized of rows: those of a table
// of 4- or 8-bit numbers that the indices name, each number less its zero point
// and times its scale. One scale stands for block numbers of a row; an index out
// of range gives zeros.
type gatherQuantized struct {
	data, at, zeros, y  *graph.Tensor
	scales              blockScales
	bits, block         int
	rows, width, blocks int // of the table
	cut                 cut
}

// lowerGatherBlockQuantized covers tables of two axes whose rows are whole
// bytes, with blocks along them.
func lowerGatherBlockQuantized(n *graph.Node, uses map[*graph.Value][]graph.Use) (Group, bool) {
	if n.Domain != op.Microsoft || n.Op != "GatherBlockQuantized" || !isIndex(n.Inputs[1]) || !areFloats(n.Inputs[2]) {
		return Group{}, false
	}
	table := n.Inputs[0].Type
	shape, ok := table.Shape.Ints()
	bits := 4
	if table.DType == graph.Uint8 {
		bits = int(n.Int("bits", 4))
	}
	switch {
	case !ok || len(shape) != 2 || bits != 4 && bits != 8:
		return Group{}, false
	case table.DType != graph.Uint8 && (table.DType != graph.Int4 && table.DType != graph.Uint4 || shape[1]%2 != 0):
		return Group{}, false
	case n.In(3) != nil && n.In(3).Type.DType != table.DType:
		return Group{}, false
	}
	block := n.Int("block_size", 128)
	gatherAxis, ok1 := axisOf(n.Int("gather_axis", 0), 2)
	quantizeAxis, ok2 := axisOf(n.Int("quantize_axis", 1), 2)
	if !ok1 || !ok2 || gatherAxis != 0 || quantizeAxis != 1 || block < 1 || block > 1<<30 {
		return Group{}, false
	}
	g := single(n)
	scales := scalesOf(n, uses)
	g.In, g.Nodes = scales.in, append(scales.behind, n)
	own := len(n.Inputs)
	g.Kernel = func(c *Call) error {
		k := memo[gatherQuantized](c)
		*k = gatherQuantized{data: c.In[0], at: c.In[1], y: c.Out[0], bits: bits, block: int(block)}
		k.rows, k.width = int(k.data.Shape[0]), int(k.data.Shape[1])
		if k.data.DType == graph.Uint8 {
			k.width *= 8 / bits
		}
		k.blocks = ceil(k.width, k.block)
		if own > 3 { // the factors of scales may stand behind the node's inputs
			k.zeros = c.In[3]
		}
		var err error
		if k.scales, err = scales.bind(c.In, k.rows, k.blocks); err != nil {
			return err
		}
		packed := k.rows * k.blocks
		if k.data.DType == graph.Uint8 {
			packed = k.rows * ceil(k.blocks*bits, 8)
		}
		switch {
		case !slices.Equal(c.In[2].Shape, []int64{int64(k.rows), int64(k.blocks)}):
			return fmt.Errorf("%w: scales of shape %v for blocks of %d of %d rows of %d", op.ErrInput, c.In[2].Shape, k.block, k.rows, k.width)
		case k.zeros != nil && k.zeros.Len() != packed:
			return fmt.Errorf("%w: zero points of shape %v beside scales of shape %v", op.ErrInput, k.zeros.Shape, c.In[2].Shape)
		case k.y.Len() != k.at.Len()*k.width:
			return fmt.Errorf("%w: %d rows of %d are no %s", op.ErrInput, k.at.Len(), k.width, k.y.Type())
		}
		k.cut = cutBy(k.at.Len(), k.width*2)
		return c.Run(k.cut.parts(), k)
	}
	return g, true
}

// Part implements [Parts].
func (k *gatherQuantized) Part(w *Worker, i int) {
	buf := w.Floats(k.width + k.blocks)
	from, to := k.cut.part(i)
	for s := from; s < to; s++ {
		y := floatsFor(k.y, s*k.width, buf[:k.width])
		row := intAt(k.at, s)
		if row < 0 {
			row += k.rows
		}
		if row < 0 || row >= k.rows {
			clear(y)
		} else {
			scales := buf[k.width:][:k.blocks]
			k.scales.load(scales, row, 0)
			k.row(y, row, scales)
		}
		putFloats(k.y, s*k.width, y)
	}
}

// row stores the numbers of a row.
func (k *gatherQuantized) row(y []float32, row int, scales []float32) {
	data := k.data.Data[row*k.width*k.bits/8:][:k.width*k.bits/8]
	for b, s := range scales {
		from, to := b*k.block, min((b+1)*k.block, k.width)
		zero := k.zero(row, b)
		switch {
		case k.bits == 8:
			for j := from; j < to; j++ {
				y[j] = (float32(data[j]) - zero) * s
			}
		case k.data.DType == graph.Int4:
			for j := from; j < to; j++ {
				y[j] = (float32(int8(data[j/2]>>(j%2*4)<<4)>>4) - zero) * s
			}
		default:
			for j := from; j < to; j++ {
				y[j] = (float32(data[j/2]>>(j%2*4)&15) - zero) * s
			}
		}
	}
}

// zero returns the zero point of a block. Those in uint8 start a byte with each
// row.
func (k *gatherQuantized) zero(row, block int) float32 {
	i := row*k.blocks + block
	switch {
	case k.zeros == nil && k.data.DType == graph.Uint8:
		return float32(int(1) << (k.bits - 1))
	case k.zeros == nil:
		return 0
	case k.bits == 8:
		return float32(k.zeros.Data[i])
	case k.data.DType == graph.Int4:
		return float32(int8(k.zeros.Data[i/2]>>(i%2*4)<<4) >> 4)
	case k.data.DType == graph.Uint8:
		return float32(k.zeros.Data[row*ceil(k.blocks, 2)+block/2] >> (block % 2 * 4) & 15)
	}
	return float32(k.zeros.Data[i/2] >> (i % 2 * 4) & 15)
}
