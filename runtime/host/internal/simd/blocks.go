package simd

// Block is how many numbers share a scale in [Blocks].
const Block = 32

// Blocks is rows of quantised numbers as onnxruntime's MatMulNBits stores them:
// blocks of 32, of 4 bits with low ones first or of 8. Number q of a block stands for
// (q - zero)·scale.
type Blocks struct {
	Bits   int
	Data   Panel[uint8]   // strides in bytes
	Scales Panel[float32] // one for each block
	Halves Panel[uint16]  // the same as float16, for DotsQuantised; there are no Scales then
	Codes  Panel[int8]    // or as codes of 8 bits, and of each row the Factor that they are multiplied with
	Factor []float32
	Zeros  Panel[float32] // likewise; nothing: the middle of the range
}

// bytes of a block.
func (w *Blocks) bytes() int { return Block * w.Bits / 8 }

// scale returns that of block b of row j.
func (w *Blocks) scale(j, b int) float32 {
	switch {
	case w.Halves.At != nil:
		return halves()[w.Halves.At[j*w.Halves.Stride+b]]
	case w.Codes.At != nil:
		return float32(w.Codes.At[j*w.Codes.Stride+b]) * w.Factor[j]
	}
	return w.Scales.At[j*w.Scales.Stride+b]
}

func (w *Blocks) holds(rows, blocks int) {
	w.Data.holds(rows, blocks*w.bytes())
	switch {
	case w.Halves.At != nil:
		w.Halves.holds(rows, blocks)
	case w.Codes.At != nil:
		w.Codes.holds(rows, blocks)
		_ = w.Factor[rows-1]
	default:
		w.Scales.holds(rows, blocks)
	}
	if w.Zeros.At != nil {
		w.Zeros.holds(rows, blocks)
	}
}

// Dequantise stores the numbers of so many blocks of a row of w.
func (l *Level) Dequantise(dst []float32, w *Blocks, row, blocks int) {
	if blocks == 0 {
		return
	}
	data := w.Data.Row(row, blocks*w.bytes())
	scales := w.Scales.Row(row, blocks)
	zeros := middles[w.Bits/8][:min(blocks, len(middles[0]))]
	own := w.Zeros.At != nil
	if own {
		zeros = w.Zeros.Row(row, blocks)
	}
	_ = dst[blocks*Block-1]
	if l.lanes > 0 {
		dequantise := l.dequantise4
		if w.Bits == 8 {
			dequantise = l.dequantise8
		}
		for at := 0; at < blocks; at += len(zeros) { // once, if blocks have zeros of their own
			dequantise(&dst[at*Block], &data[at*w.bytes()], &scales[at], &zeros[0], min(len(zeros), blocks-at))
		}
		return
	}
	for b, s := range scales {
		z := zeros[b%len(zeros)]
		d := dst[b*Block:][:Block]
		if w.Bits == 8 {
			for i, q := range data[b*Block:][:Block] {
				d[i] = (float32(q) - z) * s
			}
			continue
		}
		for i, q := range data[b*Block/2:][:Block/2] {
			d[2*i] = (float32(q&15) - z) * s
			d[2*i+1] = (float32(q>>4) - z) * s
		}
	}
}

// middles are zeros of blocks that have none of their own, of 4 and of 8 bits.
var middles = func() (z [2][64]float32) {
	for i := range z[0] {
		z[0][i], z[1][i] = 1<<3, 1<<7
	}
	return z
}()

// ReadsBlocks tells whether DotsBlocks is there.
func (l *Level) ReadsBlocks() bool { return l.lanes > 0 }

// Spread orders the numbers of m rows of a, of whole blocks, for DotsBlocks with
// weights of so many bits.
func (l *Level) Spread(a Panel[float32], bits, m, blocks int) {
	if bits != 4 || m == 0 || blocks == 0 {
		return
	}
	a.holds(m, blocks*Block)
	for i := range m {
		l.spread(&a.At[i*a.Stride], blocks)
	}
}

// DotsBlocks adds the products of m spread rows of a and n rows of w, of so many
// blocks, to c. Weights are dequantised and products summed in float32.
func (l *Level) DotsBlocks(c, a Panel[float32], w *Blocks, m, blocks, n int) {
	if m == 0 || blocks == 0 || n == 0 {
		return
	}
	c.holds(m, n)
	a.holds(m, blocks*Block)
	w.holds(n, blocks)
	dot, dotZeros := l.dot4, l.dot4Zeros
	if w.Bits == 8 {
		dot, dotZeros = l.dot8, l.dot8Zeros
	}
	for i := 0; i < m; {
		some := together(m - i)
		if w.Zeros.At == nil {
			dot(&c.At[i*c.Stride], c.Stride, &a.At[i*a.Stride], a.Stride, &w.Data.At[0], w.Data.Stride, &w.Scales.At[0], w.Scales.Stride, some, n, blocks)
		} else {
			dotZeros(&c.At[i*c.Stride], c.Stride, &a.At[i*a.Stride], a.Stride, &w.Data.At[0], w.Data.Stride, &w.Scales.At[0], w.Scales.Stride,
				&w.Zeros.At[0], w.Zeros.Stride, some, n, blocks)
		}
		i += some
	}
}

// together returns how many of m rows a function takes at once.
func together(m int) int {
	switch {
	case m >= 4:
		return 4
	case m >= 2:
		return 2
	}
	return 1
}
