package simd

import (
	"encoding/binary"
	"math"
)

// Activations are quantised by blocks of 32, each number to an integer from -127 to
// 127 times the block's scale, and kept in records of bytes: q, scales, and what the
// sum of a block starts at, which is less the middle of the weights' range times the
// sum of q. Where weights have 4 bits, the 16 numbers of even index of a block come
// before those of odd index, as they do there. Tiles take a record for each block. Dots
// take records of some blocks, q of all of them first, then scales and starts: all rows
// of weights pass by them, so the fewer lines of a cache they take, the better.
const (
	dotQ4      = 128 // 64 q of even index of 4 blocks, 64 of odd index
	dotQ8      = 64  // q of 2 blocks
	tileRecord = 40  // 32 q, a scale, a start
)

// dotSizes returns how many bytes of a row of records for dots are q, and how many come
// behind them.
func dotSizes(bits, blocks int) (q, factors int) {
	if bits == 4 {
		records := (blocks + 3) / 4
		return records * dotQ4, records * 32
	}
	records := (blocks + 1) / 2
	return records * dotQ8, records * 16
}

// DotRecords returns how many bytes a row of blocks is for DotsQuantised with weights
// of so many bits: whole lines of a cache, so that no vector of q crosses one.
func DotRecords(bits, blocks int) int {
	q, factors := dotSizes(bits, blocks)
	return q + (factors+63)&^63
}

// TileRecords returns how many bytes a row of blocks is for TileQuantised.
func TileRecords(blocks int) int { return blocks * tileRecord }

// record tells where block b's numbers are: the 16 q that come first, the other 16,
// the scale and the start.
type record struct{ q, rest, scale, start int }

// dotRecord is of a row of so many blocks.
func dotRecord(bits, blocks, b int) record {
	factors, _ := dotSizes(bits, blocks)
	if bits == 4 {
		at, factors, b := b/4*dotQ4, factors+b/4*32, b%4
		return record{at + 16*b, at + 64 + 16*b, factors + 4*b, factors + 16 + 4*b}
	}
	factors += b / 2 * 16
	return record{32 * b, 32*b + 16, factors + b%2*4, factors + 8 + b%2*4}
}

func tileRecordOf(b int) record {
	at := b * tileRecord
	return record{at, at + 16, at + 32, at + 36}
}

// QuantiseDots stores so many blocks of x as records for dots.
func (l *Level) QuantiseDots(dst []uint8, x []float32, bits, blocks int) {
	clear(dst[:DotRecords(bits, blocks)])
	if blocks == 0 {
		return
	}
	_ = x[blocks*Block-1]
	factors, _ := dotSizes(bits, blocks)
	switch {
	case l.lanes > 0 && bits == 4:
		l.quantiseDot4(&dst[0], &dst[factors], &x[0], blocks)
	case l.lanes > 0:
		l.quantiseDot8(&dst[0], &dst[factors], &x[0], blocks)
	default:
		for b := range blocks {
			quantise(dst, x[b*Block:][:Block], bits, dotRecord(bits, blocks, b))
		}
	}
}

// QuantiseTiles stores so many blocks of x as records for tiles.
func (l *Level) QuantiseTiles(dst []uint8, x []float32, bits, blocks int) {
	if blocks == 0 {
		return
	}
	_, _ = dst[TileRecords(blocks)-1], x[blocks*Block-1]
	switch {
	case l.lanes > 0 && bits == 4:
		l.quantiseTile4(&dst[0], &x[0], blocks)
	case l.lanes > 0:
		l.quantiseTile8(&dst[0], &x[0], blocks)
	default:
		for b := range blocks {
			quantise(dst, x[b*Block:][:Block], bits, tileRecordOf(b))
		}
	}
}

// quantise stores one block. A block with something that is no number has no number
// for a scale.
func quantise(dst []uint8, x []float32, bits int, r record) {
	const tiny = 1e-30
	top, bad := float32(tiny), false
	for _, v := range x {
		top = max(top, math.Float32frombits(math.Float32bits(v)&^(1<<31)))
		bad = bad || v != v
	}
	scale, inverse := top/127, 127/top
	if bad {
		scale = float32(math.NaN())
	}
	sum := int32(0)
	for i, v := range x {
		q := int32(-128)
		if t := math.RoundToEven(float64(v * inverse)); t >= -127 && t <= 127 {
			q = int32(t)
		}
		sum += q
		switch {
		case bits == 8 && i < 16:
			dst[r.q+i] = uint8(q)
		case bits == 8:
			dst[r.rest+i-16] = uint8(q)
		case i%2 == 0:
			dst[r.q+i/2] = uint8(q)
		default:
			dst[r.rest+i/2] = uint8(q)
		}
	}
	binary.LittleEndian.PutUint32(dst[r.scale:], math.Float32bits(scale))
	binary.LittleEndian.PutUint32(dst[r.start:], uint32(-sum<<(bits-1)))
}

// product returns what a block of a row of records is the sum of: its start, and its
// products with a block of weights.
func (r record) product(x, w []uint8, bits int) float32 {
	sum := int32(binary.LittleEndian.Uint32(x[r.start:]))
	q, rest := x[r.q:][:16], x[r.rest:][:16]
	if bits == 8 {
		for i, v := range w[:16] {
			sum += int32(int8(q[i]))*int32(v) + int32(int8(rest[i]))*int32(w[16+i])
		}
	} else {
		for i, v := range w[:16] {
			sum += int32(int8(q[i]))*int32(v&15) + int32(int8(rest[i]))*int32(v>>4)
		}
	}
	return float32(sum)
}

func floatAt(b []uint8, at int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(b[at:]))
}

// BlockSums stores, for each block of a whole row of records, the sum of the numbers that
// its q stand for: of dots, or of tiles.
func BlockSums(dst []float32, x []uint8, bits int, tiles bool) {
	for b := range dst {
		r := dotRecord(bits, len(dst), b)
		if tiles {
			r = tileRecordOf(b)
		}
		start := int32(binary.LittleEndian.Uint32(x[r.start:]))
		dst[b] = float32(-start>>(bits-1)) * floatAt(x, r.scale)
	}
}

// DotsQuantised adds the products of m rows of records x and n rows of w, of so many
// blocks, to c. Zeros of w are taken for the middle of its range.
func (l *Level) DotsQuantised(c Panel[float32], x Panel[uint8], w *Blocks, m, blocks, n int) {
	if m == 0 || blocks == 0 || n == 0 {
		return
	}
	c.holds(m, n)
	x.holds(m, DotRecords(w.Bits, blocks))
	w.holds(n, blocks)
	whole := 0
	if l.lanes > 0 {
		whole = blocks
		if per := 16 / w.Bits * l.lanes / 16; l.lanes == 8 && per > 0 {
			whole -= blocks % per
		}
		dot, halves, codes := l.dotQuantised4, l.dotQuantised4F16, l.dotQuantised4I8
		if w.Bits == 8 {
			dot, halves, codes = l.dotQuantised8, l.dotQuantised8F16, l.dotQuantised8I8
		}
		factors, _ := dotSizes(w.Bits, blocks)
		for i := 0; i < m && whole > 0; {
			some := together(m - i)
			switch {
			case w.Halves.At != nil:
				halves(&c.At[i*c.Stride], c.Stride, &x.At[i*x.Stride], &x.At[i*x.Stride+factors], x.Stride, &w.Data.At[0], w.Data.Stride, &w.Halves.At[0], w.Halves.Stride, some, n, whole)
			case w.Codes.At != nil:
				codes(&c.At[i*c.Stride], c.Stride, &x.At[i*x.Stride], &x.At[i*x.Stride+factors], x.Stride, &w.Data.At[0], w.Data.Stride, &w.Codes.At[0], w.Codes.Stride, &w.Factor[0], some, n, whole)
			default:
				dot(&c.At[i*c.Stride], c.Stride, &x.At[i*x.Stride], &x.At[i*x.Stride+factors], x.Stride, &w.Data.At[0], w.Data.Stride, &w.Scales.At[0], w.Scales.Stride, some, n, whole)
			}
			i += some
		}
	}
	for b := whole; b < blocks; b++ {
		r := dotRecord(w.Bits, blocks, b)
		for i := range m {
			row := x.Row(i, DotRecords(w.Bits, blocks))
			scale := floatAt(row, r.scale)
			for j, s := range c.Row(i, n) {
				data := w.Data.Row(j, blocks*w.bytes())[b*w.bytes():]
				c.At[i*c.Stride+j] = s + float32(r.product(row, data, w.Bits)*float32(scale*w.scale(j, b)))
			}
		}
	}
}

// QuantisedCols is how many columns a panel for TileQuantised has. With weights of
// so many bits there may be none: then tiles of floats are as fast.
func (l *Level) QuantisedCols(bits int) int {
	switch {
	case l.lanes == 0:
		return 16
	case bits == 8 && l.lanes == 8:
		return 0
	}
	return l.lanes
}

// PanelBytes is the size of a panel of so many blocks; on tiles, behind it is room for sums
// that leave them.
func (l *Level) PanelBytes(blocks int) int {
	size := blocks * 36 * l.QuantisedCols(4)
	if l.tiles {
		size += 2 * tileSide * tileSide * 4
	}
	return size
}

// less is what weights of a panel have less than they are stored with: tiles take them with
// their sign, and need no starts then.
func (l *Level) less(bits int) uint8 {
	if l.tiles {
		return 1 << (bits - 1)
	}
	return 0
}

// Pack turns so many blocks of n rows of w into a panel for TileQuantised, n being
// QuantisedCols at most. Columns that are missing are zeros.
func (l *Level) Pack(dst []uint8, w *Blocks, blocks, n int) {
	if blocks == 0 || n == 0 {
		return
	}
	w.holds(n, blocks)
	cols, less := l.QuantisedCols(4), l.less(w.Bits)
	_ = dst[l.PanelBytes(blocks)-1]
	if l.lanes > 0 && n == cols {
		pack := l.pack4
		if w.Bits == 8 {
			pack = l.pack8
		}
		pack(&dst[0], &w.Data.At[0], w.Data.Stride, &w.Scales.At[0], w.Scales.Stride, uint32(less)*0x01010101, blocks)
		return
	}
	clear(dst[:l.PanelBytes(blocks)])
	for j := range n {
		data := w.Data.Row(j, blocks*w.bytes())
		for b := range blocks {
			d, from := dst[b*36*cols:], data[b*w.bytes():][:w.bytes()]
			for i, q := range from {
				if w.Bits == 8 {
					d[i/4*4*cols+4*j+i%4] = q - less
				} else {
					d[i/4*4*cols+4*j+i%4] = q&15 - less
					d[(4+i/4)*4*cols+4*j+i%4] = q>>4 - less
				}
			}
			binary.LittleEndian.PutUint32(d[32*cols+4*j:], math.Float32bits(w.Scales.At[j*w.Scales.Stride+b]))
		}
	}
}

// Soon is rows of bytes in memory that are read next.
type Soon struct {
	Rows  Panel[uint8]
	N     int // rows
	Bytes int // of each
}

// lines is how many a row has in a cache; 0: nothing is read.
func (s *Soon) lines() int {
	if s.N == 0 {
		return 0
	}
	return (s.Bytes + 63) / 64
}

// TileQuantised adds the product of m rows of records x and a panel w, of so many
// blocks, to c, which has QuantisedCols columns. Meanwhile memory is asked for what is
// read soon, which the processor does not guess where many rows are read side by side.
func (l *Level) TileQuantised(c Panel[float32], x Panel[uint8], w []uint8, m, blocks int, soon Soon) {
	if m == 0 || blocks == 0 {
		return
	}
	cols := l.QuantisedCols(4)
	c.holds(m, cols)
	x.holds(m, TileRecords(blocks))
	_ = w[l.PanelBytes(blocks)-1]
	at, stride, lines := &w[0], 0, soon.lines()
	if lines > 0 {
		soon.Rows.holds(soon.N, soon.Bytes)
		at, stride = &soon.Rows.At[0], soon.Rows.Stride
	}
	if l.tiles {
		sums := &w[blocks*36*cols]
		for i := 0; i < m; {
			rows, groups := min(tileSide, m-i), max(1, (m-i)/tileSide)
			config := blocksConfig(rows)
			tileBlocksAMX(&c.At[i*c.Stride], c.Stride, &x.At[i*x.Stride], x.Stride, &w[0], sums, rows, groups, blocks, &config[0], at, stride, max(1, (lines+3)/4))
			i += groups * rows
			at, stride = &w[0], 0
		}
		return
	}
	if l.lanes > 0 {
		if lines > 0 {
			l.prefetch(at, stride, soon.N, lines)
		}
		for i := 0; i < m; i += l.quantisedRows {
			l.tileQuantised(&c.At[i*c.Stride], c.Stride, &x.At[i*x.Stride], x.Stride, &w[0], min(l.quantisedRows, m-i), blocks)
		}
		return
	}
	for b := range blocks {
		r, d := tileRecordOf(b), w[b*36*cols:]
		for i := range m {
			row := x.Row(i, TileRecords(blocks))
			scale, start := floatAt(row, r.scale), int32(binary.LittleEndian.Uint32(row[r.start:]))
			for j := range cols {
				sum := start
				for p := range Block {
					sum += int32(int8(row[r.q+p])) * int32(d[p/4*4*cols+4*j+p%4])
				}
				c.At[i*c.Stride+j] += float32(float32(sum) * float32(scale*floatAt(d, 32*cols+4*j)))
			}
		}
	}
}
