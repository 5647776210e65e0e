package host

import (
	"fmt"
	"math"

	"mnnconv/graph"
	"mnnconv/runtime/host/internal/simd"
	"mnnconv/schemas/op"
)

// nbitsForm covers onnxruntime's MatMulNBits with weights of 4 or 8 bits that
// are there: the operator allows to leave them out.
func nbitsForm(n *graph.Node, uses map[*graph.Value][]graph.Use) (*productForm, bool) {
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
	scales := scalesOf(n, uses)
	f := &productForm{nodes: append(scales.behind, n), in: scales.in, alpha: 1, beta: 1, columns: true, layout: layout{bits: b.bits, size: b.size}}
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
		var err error
		if p.blocks.scales, err = scales.bind(in, b.rows, b.perRow); err != nil {
			return err
		}
		if err := p.blocks.bind(in[1], zeros); err != nil {
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
	data       []byte // [rows, blocks, size·bits/8], low bits first
	scales     blockScales
	zeros      *graph.Tensor // the same, or uint8 packed as data in rows of whole bytes; nil: the middle of the range
	perRow     int           // blocks in a row
	zerosRow   int           // bytes in a row of packed zeros
}

// bytes returns the length of data.
func (b *blocks) bytes() int { return b.rows * b.perRow * (b.size * b.bits / 8) }

// bind checks the tensors' sizes.
func (b *blocks) bind(data, zeros *graph.Tensor) error {
	b.data, b.zeros = data.Data, zeros
	if data.DType != graph.Uint8 || data.Len() != b.bytes() {
		return fmt.Errorf("%w: weights are %s, want %d bytes", op.ErrInput, data.Type(), b.bytes())
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

// panel implements [weights]. No product with weights k×n has blocks.
func (b *blocks) panel(dst panel, row, col, rows, cols int) {
	for r := range rows {
		b.numbers(dst.Row(r, cols), row+r, col)
	}
}

// view implements [weights].
func (b *blocks) view(scratch []float32, row, col, rows, cols int) panel {
	n := ceil(cols, simd.Block)
	p, factors := panelOf(scratch[:rows*n*simd.Block], n*simd.Block), scratch[rows*n*simd.Block:]
	if b.size < simd.Block {
		b.panel(p, row, col, rows, cols)
		return p
	}
	for r := range rows {
		w := b.factors(factors, row+r, col, 1, n)
		vectors.Dequantise(p.Row(r, p.Stride), &w, 0, n)
	}
	return p
}

// direct reports whether products are made from the blocks as they are.
func (b *blocks) direct() bool { return b.size >= simd.Block && vectors.ReadsBlocks() }

// arrange implements [weights].
func (b *blocks) arrange(a panel, m, k int) {
	if b.direct() {
		vectors.Spread(a, b.bits, m, ceil(k, simd.Block))
	}
}

// dots implements [weights].
func (b *blocks) dots(c, a panel, scratch []float32, row, col, m, k, n int) {
	if !b.direct() {
		vectors.Dots(c, a, b.view(scratch, row, col, n, k), m, k, n)
		return
	}
	w := b.factors(scratch, row, col, n, ceil(k, simd.Block))
	vectors.DotsBlocks(c, a, &w, m, ceil(k, simd.Block), n)
}

// parts implements [weights]: a code of 4 bits and its zero differ by a number of 5 bits,
// and a scale of float16 has 11.
func (b *blocks) parts() int {
	if b.bits == 4 && b.scales.short() && (b.zeros == nil || b.zeros.DType == graph.Uint8) {
		return 2
	}
	return 3
}

// stream implements [weights]. Blocks lie along k: no product takes them so.
func (b *blocks) stream(c, a panel, scratch []float32, row, col, m, k, n int) {
	vectors.Stream(c, a, b.view(scratch, row, col, k, n), m, k, n)
}

// tiles implements [weights], likewise.
func (b *blocks) tiles(c, a panel, scratch []float32, row, col, m, k, n int) {
	vectors.Rows(c, a, b.view(scratch, row, col, k, n), m, k, n)
}

// factors returns rows of so many blocks of 32, from (row, col) on, with a scale and,
// where they have one, a zero for each: as they are stored, or in buf, which has
// room for both.
func (b *blocks) factors(buf []float32, row, col, rows, n int) simd.Blocks {
	w := simd.Blocks{Bits: b.bits}
	w.Data.Stride = b.perRow * b.size * b.bits / 8
	w.Data.At = b.data[row*w.Data.Stride+col*b.bits/8:]
	if b.size == simd.Block && b.scales.floats() {
		w.Scales = panelOf(graph.View[float32](b.scales.numbers)[row*b.perRow+col/simd.Block:], b.perRow)
	} else {
		w.Scales = panelOf(buf[:rows*n], n)
		b.each(w.Scales, &b.scales, row, col, rows)
	}
	if b.zeros == nil {
		return w
	}
	w.Zeros = panelOf(buf[rows*n:][:rows*n], n)
	if b.zeros.DType != graph.Uint8 {
		b.each(w.Zeros, &blockScales{numbers: b.zeros, perRow: b.perRow}, row, col, rows)
		return w
	}
	for r := range rows {
		for i := range n {
			w.Zeros.At[r*n+i] = float32(b.zero(row+r, (col+i*simd.Block)/b.size))
		}
	}
	return w
}

// stored returns the blocks from a row on as they lie, where their scales are float16 or
// of 8 bits: a pass that widens scales waits for memory while nothing else is read.
func (b *blocks) stored(row int) (w simd.Blocks, ok bool) {
	w.Bits = b.bits
	if b.size != simd.Block || b.zeros != nil || !b.scales.stored(&w, row) {
		return w, false
	}
	w.Data.Stride = b.perRow * b.size * b.bits / 8
	w.Data.At = b.data[row*w.Data.Stride:]
	return w, true
}

// each stores a factor of every 32 numbers from (row, col) on, of s, which has one
// for each block.
func (b *blocks) each(dst panel, s *blockScales, row, col, rows int) {
	repeat, first := b.size/simd.Block, col/b.size
	if repeat == 1 && dst.Stride == b.perRow && s.factors == nil { // whole rows
		s.load(dst.At, row, 0)
		return
	}
	skip := col % b.size / simd.Block // 32s of the first block that are not wanted
	for r := range rows {
		d := dst.Row(r, dst.Stride)
		if repeat == 1 {
			s.load(d, row+r, first)
			continue
		}
		blocks := ceil(skip+len(d), repeat)
		s.load(d[:blocks], row+r, first)
		for i := len(d) - 1; i >= 0; i-- { // from the end, where it does not overwrite what it still reads
			d[i] = d[(skip+i)/repeat]
		}
	}
}

// numbers stores those of a row from column col on, which is even.
func (b *blocks) numbers(dst []float32, row, col int) {
	for len(dst) > 0 {
		block, in := col/b.size, col%b.size
		n := min(b.size-in, len(dst))
		var scale, zero [1]float32
		b.scales.load(scale[:], row, block)
		if b.zeros != nil && b.zeros.DType != graph.Uint8 {
			loadFloats(zero[:], b.zeros.DType, b.zeros.Data, row*b.perRow+block)
		} else {
			zero[0] = float32(b.zero(row, block))
		}
		src := b.data[((row*b.perRow+block)*b.size+in)*b.bits/8:]
		for i := range dst[:n] {
			q := src[i*b.bits/8]
			if b.bits == 4 {
				q = q >> (i % 2 * 4) & 15
			}
			dst[i] = (float32(q) - zero[0]) * scale[0]
		}
		dst, col = dst[n:], col+n
	}
}

// zero returns the zero point of a block, unless it is a float.
func (b *blocks) zero(row, block int) int {
	switch {
	case b.zeros == nil:
		return 1 << (b.bits - 1)
	case b.bits == 8:
		return int(b.zeros.Data[row*b.zerosRow+block])
	}
	return int(b.zeros.Data[row*b.zerosRow+block/2] >> (block % 2 * 4) & 15)
}
