package host

import (
	"encoding/binary"
	"fmt"
	"math"

	"mnnconv/graph"
	"mnnconv/schemas/op"
)

// nbitsForm covers onnxruntime's MatMulNBits with weights of 4 or 8 bits that
// are there: the operator allows to leave them out.
func nbitsForm(n *graph.Node, _ map[*graph.Value][]graph.Use) (*productForm, bool) {
	if n.Domain != op.Microsoft || n.Op != "MatMulNBits" || n.In(4) != nil || n.Int("weight_prepacked", 0) != 0 {
		return nil, false
	}
	if x := n.In(0); !floats(x) || len(x.Type.Shape) == 0 || n.In(1) == nil || !n.In(1).Type.Shape.Ranked() {
		return nil, false
	}
	b := blocks{bits: int(n.Int("bits", 4)), size: int(n.Int("block_size", 0)), rows: int(n.Int("N", 0)), cols: int(n.Int("K", 0))}
	if b.bits != 4 && b.bits != 8 || b.size < 16 || b.size > 256 || b.size&(b.size-1) != 0 {
		return nil, false
	}
	if b.rows < 1 || b.cols < 1 || max(b.rows, b.cols) > math.MaxInt32 { // so that products of extents are numbers
		return nil, false
	}
	b.perRow = ceil(b.cols, b.size)
	b.zerosRow = ceil(b.perRow*b.bits, 8)
	if !n.In(1).Type.Shape.Elements().IsConst(int64(b.bytes())) {
		return nil, false
	}
	f := &productForm{nodes: []*graph.Node{n}, in: n.Inputs, alpha: 1, beta: 1, columns: true}
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

// bytes returns the length of data.
func (b *blocks) bytes() int { return b.rows * b.perRow * (b.size * b.bits / 8) }

// bind checks the tensors' sizes.
func (b *blocks) bind(data, scales, zeros *graph.Tensor) error {
	b.data, b.scales, b.zeros = data.Data, scales, zeros
	if data.DType != graph.Uint8 || data.Len() != b.bytes() {
		return fmt.Errorf("%w: weights are %s, want %d bytes", op.ErrInput, data.Type(), b.bytes())
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
func (b *blocks) panel(dst panel, row, col, rows, cols int) {
	for r := range rows {
		b.numbers(dst.Row(r, cols), row+r, col)
	}
}

// view implements [weights].
func (b *blocks) view(scratch []float32, row, col, rows, cols int) panel {
	p := panelOf(scratch, cols)
	b.panel(p, row, col, rows, cols)
	return p
}

// dots implements [weights].
func (b *blocks) dots(c, a panel, scratch []float32, row, col, m, k, n int) {
	vectors.Dots(c, a, b.view(scratch, row, col, n, k), m, k, n)
}

// row implements [weights]. Blocks lie along k: no product takes them so.
func (b *blocks) row(c, x, scratch []float32, row, col int) {
	vectors.Row(c, x, b.view(scratch, row, col, len(x), len(c)), len(x), len(c))
}

// numbers stores those of a row from column col on, which is even.
func (b *blocks) numbers(dst []float32, row, col int) {
	var scales [32]float32
	block, in := col/b.size, col%b.size
	for len(dst) > 0 {
		some := scales[:min(len(scales), ceil(in+len(dst), b.size))]
		loadFloats(some, b.scales.DType, b.scales.Data, row*b.perRow+block)
		for _, scale := range some {
			n := min(b.size-in, len(dst))
			b.unpack(dst[:n], ((row*b.perRow+block)*b.size+in)*b.bits/8, row, block, scale)
			dst, block, in = dst[n:], block+1, 0
		}
	}
}

// unpack stores numbers of one block that data holds from byte at on.
func (b *blocks) unpack(dst []float32, at, row, block int, scale float32) {
	from := differences[256-b.zero(row, block):] // from[q] is q - zero
	if b.zeros != nil && b.zeros.DType != graph.Uint8 {
		var zero [1]float32
		var own [256]float32
		loadFloats(zero[:], b.zeros.DType, b.zeros.Data, row*b.perRow+block)
		for q := range 1 << b.bits {
			own[q] = float32(q) - zero[0]
		}
		from = own[:]
	}
	src := b.data[at:][:ceil(len(dst)*b.bits, 8)]
	if b.bits == 8 {
		scaleBytes(dst, src, (*[256]float32)(from), scale)
	} else {
		scaleNibbles(dst, src, (*[16]float32)(from), scale)
	}
}

func scaleBytes(dst []float32, src []byte, from *[256]float32, scale float32) {
	src = src[:len(dst)]
	for i, q := range src {
		dst[i] = from[q] * scale
	}
}

func scaleNibbles(dst []float32, src []byte, from *[16]float32, scale float32) {
	for len(dst) >= 8 && len(src) >= 4 {
		d, q := (*[8]float32)(dst), binary.LittleEndian.Uint32(src)
		d[0] = from[q&15] * scale
		d[1] = from[q>>4&15] * scale
		d[2] = from[q>>8&15] * scale
		d[3] = from[q>>12&15] * scale
		d[4] = from[q>>16&15] * scale
		d[5] = from[q>>20&15] * scale
		d[6] = from[q>>24&15] * scale
		d[7] = from[q>>28] * scale
		dst, src = dst[8:], src[4:]
	}
	for i := range dst {
		dst[i] = from[src[i/2]>>(i%2*4)&15] * scale
	}
}

// zero returns the zero point of a block, unless it is a float.
func (b *blocks) zero(row, block int) int {
	switch {
	case b.zeros == nil:
		return 1 << (b.bits - 1)
	case b.zeros.DType != graph.Uint8:
		return 0
	case b.bits == 8:
		return int(b.zeros.Data[row*b.zerosRow+block])
	}
	return int(b.zeros.Data[row*b.zerosRow+block/2] >> (block % 2 * 4) & 15)
}

// differences[256+q-z] is q - z for bytes q and z: reading it is faster than
// converting and subtracting.
var differences = func() (t [512]float32) {
	for i := range t {
		t[i] = float32(i - 256)
	}
	return t
}()
