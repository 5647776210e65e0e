package quantize

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"mnnconv/graph"
)

// ErrValues: weights that no codes can stand for.
var ErrValues = errors.New("weights that cannot be quantised")

// job makes codes, scales and zero points of one matrix, rows by rows: what is in
// memory at a time does not depend on the matrix' size, but for its scales.
type job struct {
	layer   *Layer
	m       matrix
	coding  coding
	method  Method
	block   int
	padded  bool // the last block of a row is filled up
	workers int
	stats   *statistics // of calibration; nil: none

	// Made with the codes, and forgotten when they have been written.
	scales, zeros []byte
}

// blocks is how many a row has.
func (j *job) blocks() int { return (j.m.cols + j.block - 1) / j.block }

// rowBytes is the length of a row of codes.
func (j *job) rowBytes() int {
	if j.padded {
		return j.blocks() * j.block * j.coding.bits / 8
	}
	return j.m.cols * j.coding.bits / 8
}

func (j *job) scaleBytes() int { return j.blocks() * j.coding.scale.Bits() / 8 }

// zeroBytes is the length of a row of zero points, each row from a byte on.
func (j *job) zeroBytes() int { return (j.blocks()*j.coding.bits + 7) / 8 }

// tensors returns what the job will make: zeros are nil without zero points.
func (j *job) tensors() (codes, scales, zeros *graph.Later) {
	rows := int64(j.m.rows)
	codes = &graph.Later{Size: rows * int64(j.rowBytes()), Write: j.run}
	scales = &graph.Later{Size: rows * int64(j.scaleBytes()), Write: func(w io.Writer) error { return j.rest(w, &j.scales) }}
	if j.coding.asym {
		zeros = &graph.Later{Size: rows * int64(j.zeroBytes()), Write: func(w io.Writer) error { return j.rest(w, &j.zeros) }}
	}
	return codes, scales, zeros
}

// rest writes scales or zero points, and forgets them.
func (j *job) rest(w io.Writer, b *[]byte) error {
	if *b == nil {
		if err := j.run(io.Discard); err != nil {
			return err
		}
	}
	_, err := w.Write(*b)
	*b = nil
	return err
}

// chunkBytes is how many bytes of codes are made before they are written.
const chunkBytes = 8 << 20

// run writes the codes, and keeps scales and zero points.
func (j *job) run(w io.Writer) error {
	rows := j.m.rows
	j.scales = make([]byte, rows*j.scaleBytes())
	if j.coding.asym {
		j.zeros = make([]byte, rows*j.zeroBytes())
	}
	if err := j.stats.prepare(); err != nil {
		return j.wrap(err)
	}
	defer j.stats.release()
	chunk := max(1, min(rows, chunkBytes/max(1, j.rowBytes()))+tileRows-1) / tileRows * tileRows
	out := make([]byte, min(chunk, rows)*j.rowBytes())
	var sum lossSum
	for row := 0; row < rows; row += chunk {
		n := min(chunk, rows-row)
		clear(out)
		if err := j.rows(out[:n*j.rowBytes()], row, n, &sum); err != nil {
			return j.wrap(err)
		}
		if _, err := w.Write(out[:n*j.rowBytes()]); err != nil {
			return err
		}
	}
	sum.tell(j.layer)
	return nil
}

func (j *job) wrap(err error) error {
	return fmt.Errorf("%s: weight %q: %w", j.layer.Path, j.layer.Weight, err)
}

// measure finds the error that the codes would have, and writes nothing.
func (j *job) measure() (lossSum, error) {
	var sum lossSum
	err := j.stats.prepare()
	if err == nil {
		err = j.rows(nil, 0, j.m.rows, &sum)
	}
	j.stats.release()
	if err != nil {
		err = j.wrap(err)
	}
	return sum, err
}

// tileRows × tileCols numbers are turned and coded at a time: they stay in the
// second cache.
const tileRows, tileCols = 32, 2048

// rows makes n rows from row on, spread over the workers. Without out they are
// only measured.
func (j *job) rows(out []byte, row, n int, sum *lossSum) error {
	tiles := (n + tileRows - 1) / tileRows
	sums := make([]lossSum, tiles) // added in order: the same bits for any number of workers
	errs := make([]error, max(1, min(j.workers, tiles)))
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range errs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = guard(func() error {
				t := newTile(j)
				for {
					k := int(next.Add(1)) - 1
					if k >= tiles {
						return nil
					}
					from := k * tileRows
					if err := t.run(out, row, from, min(tileRows, n-from), &sums[k]); err != nil {
						return err
					}
				}
			})
		}()
	}
	wg.Wait()
	for _, s := range sums {
		sum.add(s)
	}
	return errors.Join(errs...)
}

// guard makes an error of a fault in reading a mapped file that was shortened.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(interface{ Addr() uintptr }); !ok {
				panic(r)
			}
			err = fmt.Errorf("%w: its file was shortened, or its disk failed, while it was read", ErrValues)
		}
	}()
	return f()
}

// tile is the scratch of one worker.
type tile struct {
	j       *job
	w       []float32 // [rows][stride]
	q, try  []uint8
	grids   []grid    // of the row
	was     []float32 // the row before gptq
	errors  []float32 // of gptq, of a block
	stride  int
	columns int // at a time
}

func newTile(j *job) *tile {
	t := &tile{j: j, columns: min(j.m.cols, tileCols)}
	if j.method == GPTQ { // errors of a column reach all behind it
		t.columns = j.m.cols
		t.was, t.errors = make([]float32, t.columns), make([]float32, j.block)
	}
	t.stride = t.columns + 16 // not a power of two: rows would share sets of the cache
	t.w = make([]float32, tileRows*t.stride)
	t.q, t.try = make([]uint8, max(t.columns, j.block)), make([]uint8, j.block)
	t.grids = make([]grid, t.columns/j.block+1)
	return t
}

// run makes rows from..from+n of a chunk that starts at row; out holds the chunk.
func (t *tile) run(out []byte, row, from, n int, sum *lossSum) error {
	j := t.j
	for col := 0; col < j.m.cols; col += t.columns {
		cols := min(t.columns, j.m.cols-col)
		j.m.load(t.w, t.stride, row+from, col, n, cols)
		for r := range n {
			w := t.w[r*t.stride:][:cols]
			var codes []byte
			if out != nil {
				codes = out[(from+r)*j.rowBytes():][:j.rowBytes()]
			}
			t.row(codes, w, row+from+r, col, sum)
			if !sum.finite() {
				return fmt.Errorf("%w: %s", ErrValues, j.culprit(row+from+r))
			}
		}
	}
	return nil
}

// row codes the numbers of a row from column col on. Without out they are only
// measured.
func (t *tile) row(out []byte, w []float32, row, col int, sum *lossSum) {
	j := t.j
	sum.power += float64(squares(w))
	if j.method == GPTQ {
		t.propagate(w, sum)
	}
	for at := 0; at < len(w); at += j.block {
		b := w[at:min(at+j.block, len(w))]
		q := t.q[at:][:len(b)]
		g := t.grids[at/j.block]
		if j.method != GPTQ {
			g = t.choose(q, b, sum)
		}
		if out != nil {
			block := (col + at) / j.block
			j.store(row, block, g)
			j.pack(out[block*j.block*j.coding.bits/8:], q, g.zero)
		}
	}
}

// choose chooses grid and codes of a block, by itself.
func (t *tile) choose(q []uint8, w []float32, sum *lossSum) grid {
	c := t.j.coding
	if t.j.method == Round {
		g := c.round(w)
		sum.count(c.codes(q, w, g))
		return g
	}
	g := c.refine(q, w, nil, t.try)
	sum.count(loss(q, w, nil, g))
	return g
}

// pack stores the codes of a block, low bits first; what fills it up stands for 0.
func (j *job) pack(out []byte, q []uint8, zero uint8) {
	size := len(q)
	if j.padded {
		size = j.block
	}
	code := func(i int) uint8 {
		if i < len(q) {
			return q[i]
		}
		return zero
	}
	if j.coding.bits == 8 {
		copy(out, q)
		for i := len(q); i < size; i++ {
			out[i] = zero
		}
		return
	}
	whole := len(q) / 2
	o := out[:(size+1)/2]
	for i := range whole {
		o[i] = q[2*i] | q[2*i+1]<<4
	}
	for i := whole; i < len(o); i++ {
		o[i] = code(2*i) | code(2*i+1)<<4
	}
}

// store keeps the scale and zero point of a block.
func (j *job) store(row, block int, g grid) {
	i := row*j.blocks() + block
	switch j.coding.scale {
	case graph.Float16:
		graph.ViewBytes[uint16](j.scales)[i] = graph.F32ToF16(g.scale)
	default:
		graph.ViewBytes[float32](j.scales)[i] = g.scale
	}
	if j.zeros == nil {
		return
	}
	if j.coding.bits == 8 {
		j.zeros[row*j.zeroBytes()+block] = g.zero
		return
	}
	j.zeros[row*j.zeroBytes()+block/2] |= g.zero << (block % 2 * 4)
}

// culprit says which number of a row has no code.
func (j *job) culprit(row int) string {
	w := make([]float32, j.m.cols)
	j.m.load(w, len(w), row, 0, 1, len(w))
	for i, x := range w {
		if x-x != 0 {
			return fmt.Sprintf("number %d of row %d is %v; keep them as they are with PATH=keep", i, row, x)
		}
	}
	return fmt.Sprintf("the numbers of row %d are too large for scales of %s; keep them as they are with PATH=keep", row, j.coding.scale)
}

// lossSum adds up errors.
type lossSum struct {
	square, power float64 // of the errors, of the weights
	largest       float32
}

func (s *lossSum) count(square, largest float32) {
	s.square += float64(square)
	s.largest = max(s.largest, largest)
}

func (s *lossSum) add(o lossSum) {
	s.square += o.square
	s.power += o.power
	s.largest = max(s.largest, o.largest)
}

func (s lossSum) finite() bool {
	x := s.square + s.power
	return x-x == 0
}

// relative is the root of the mean square error over that of the weights.
func (s lossSum) relative() float64 {
	if s.power == 0 {
		return 0
	}
	return math.Sqrt(s.square / s.power)
}

func (s lossSum) tell(l *Layer) {
	l.Error, l.LargestError = s.relative(), float64(s.largest)
	l.square, l.power = s.square, s.power
}

// squares is the sum of squares.
func squares(w []float32) float32 {
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(w); i += 4 {
		x := (*[4]float32)(w[i:])
		s0 += float32(x[0] * x[0])
		s1 += float32(x[1] * x[1])
		s2 += float32(x[2] * x[2])
		s3 += float32(x[3] * x[3])
	}
	for ; i < len(w); i++ {
		s0 += float32(w[i] * w[i])
	}
	return s0 + s1 + (s2 + s3)
}
