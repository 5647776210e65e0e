package host

import (
	"fmt"
	"math"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// nbitsForm covers onnxruntime's MatMulNBits with weights of 4 or 8 bits.
func nbitsForm(n *graph.Node) (*productForm, bool) {
	if n.Domain != op.Microsoft || n.Op != "MatMulNBits" || n.In(4) != nil || !floats(n.In(0)) || len(n.In(0).Type.Shape) == 0 {
		return nil, false
	}
	b := blocks{bits: int(n.Int("bits", 4)), size: int(n.Int("block_size", 0)), rows: int(n.Int("N", 0)), cols: int(n.Int("K", 0))}
	if b.bits != 4 && b.bits != 8 || b.size < 16 || b.size > 256 || b.size&(b.size-1) != 0 {
		return nil, false
	}
	if b.rows < 1 || b.cols < 1 || max(b.rows, b.cols) > math.MaxInt32 { // so that products of extents are numbers
		return nil, false
	}
	f := &productForm{in: n.Inputs, alpha: 1, beta: 1, columns: true}
	if bias := n.In(5); bias != nil {
		if n.Out(0) == nil || !isRow(bias, n.Out(0)) {
			return nil, false
		}
		f.bias = 5
	}
	f.bind = func(p *product, in []*graph.Tensor) error {
		x := in[0]
		if extent(x.Shape, -1) != b.cols {
			return fmt.Errorf("%w: an input of shape %v for weights of %d rows", op.ErrInput, x.Shape, b.cols)
		}
		p.blocks = b
		var zeros *graph.Tensor
		if n.In(3) != nil { // in may go on behind the node's inputs
			zeros = in[3]
		}
		if err := p.blocks.bind(in[1], in[2], zeros); err != nil {
			return err
		}
		p.m, p.k, p.n, p.transposed = x.Len()/b.cols, b.cols, b.rows, true
		p.left = dense{x.DType, x.Data, p.k}
		p.right = &p.blocks
		return nil
	}
	return f, true
}

// blocks is weights of MatMulNBits: each row is cut into blocks of size numbers,
// the last one filled up, and number q of a block stands for (q - zero)·scale.
type blocks struct {
	bits, size int
	rows, cols int
	data       []byte        // [rows, blocks, size·bits/8], low bits first
	scales     *graph.Tensor // [rows, blocks]
	zeros      *graph.Tensor // the same, or uint8 packed as data in rows of whole bytes; nil: the middle of the range
	perRow     int           // blocks in a row
	zerosRow   int           // bytes in a row of packed zeros
}

func (b *blocks) bind(data, scales, zeros *graph.Tensor) error {
	b.perRow = ceil(b.cols, b.size)
	b.zerosRow = ceil(b.perRow*b.bits, 8)
	b.data, b.scales, b.zeros = data.Data, scales, zeros
	if want := b.rows * b.perRow * (b.size * b.bits / 8); data.DType.Bits() != 8 || data.Len() != want {
		return fmt.Errorf("%w: weights are %s, want %d bytes", op.ErrInput, data.Type(), want)
	}
	if want := b.rows * b.perRow; !isFloat(scales.DType) || scales.Len() != want {
		return fmt.Errorf("%w: scales are %s, want %d floats", op.ErrInput, scales.Type(), want)
	}
	if zeros == nil {
		return nil
	}
	if want := b.rows * b.perRow; isFloat(zeros.DType) && zeros.Len() == want {
		return nil
	}
	if want := b.rows * b.zerosRow; zeros.DType != graph.Uint8 || zeros.Len() != want {
		return fmt.Errorf("%w: zero points are %s, want %d floats or %d bytes", op.ErrInput, zeros.Type(), b.rows*b.perRow, want)
	}
	return nil
}

// panel implements [weights].
func (b *blocks) panel(scratch []float32, row, col, rows, cols int) panel {
	for r := range rows {
		dst := scratch[r*cols:][:cols]
		for done := 0; done < cols; {
			block, in := (col+done)/b.size, (col+done)%b.size
			i := (row+r)*b.perRow + block
			n := min(b.size-in, cols-done)
			b.unpack(dst[done:done+n], (i*b.size+in)*b.bits/8, b.zero(row+r, block), float(b.scales, i))
			done += n
		}
	}
	return panel{scratch, cols}
}

// unpack stores the numbers that data holds from byte at on.
func (b *blocks) unpack(dst []float32, at int, zero, scale float32) {
	if b.bits == 8 {
		for i, q := range b.data[at:][:len(dst)] {
			dst[i] = (bytes8[q] - zero) * scale
		}
		return
	}
	pairs := len(dst) / 2
	for i, q := range b.data[at:][:pairs] {
		pair := dst[2*i:][:2:2]
		pair[0] = (bytes8[q&15] - zero) * scale
		pair[1] = (bytes8[q>>4] - zero) * scale
	}
	if len(dst)%2 == 1 {
		dst[2*pairs] = (bytes8[b.data[at+pairs]&15] - zero) * scale
	}
}

// zero returns the zero point of a block.
func (b *blocks) zero(row, block int) float32 {
	switch {
	case b.zeros == nil:
		return float32(int(1) << (b.bits - 1))
	case b.zeros.DType != graph.Uint8:
		return float(b.zeros, row*b.perRow+block)
	case b.bits == 8:
		return float32(b.zeros.Data[row*b.zerosRow+block])
	}
	return float32(b.zeros.Data[row*b.zerosRow+block/2] >> (block % 2 * 4) & 15)
}

// float returns element i of t.
func float(t *graph.Tensor, i int) float32 {
	var v [1]float32
	loadFloats(v[:], t.DType, t.Data, i)
	return v[0]
}

// bytes8 is every byte as a float: reading it is faster than converting.
var bytes8 = func() (t [256]float32) {
	for i := range t {
		t[i] = float32(i)
	}
	return t
}()
