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
	loops   Loops
	workers int
	stats   *statistics // of calibration; nil: none

	// Made with the codes, and forgotten when they have been written.
	scales, factors, zeros []byte
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

func (j *job) scaleBytes() int {
	if j.coding.short {
		return j.blocks()
	}
	return 2 * j.blocks()
}

// zeroBytes is the length of a row of zero points, each row from a byte on.
func (j *job) zeroBytes() int { return (j.blocks()*j.coding.bits + 7) / 8 }

// tensors returns what the job will make: factors are nil where scales have 16 bits, zeros
// without zero points.
func (j *job) tensors() *made {
	rows := int64(j.m.rows)
	rest := func(bytes int, of *[]byte) *graph.Later {
		return &graph.Later{Size: rows * int64(bytes), Write: func(w io.Writer) error { return j.rest(w, of) }}
	}
	m := &made{codes: &graph.Later{Size: rows * int64(j.rowBytes()), Write: j.run}, scales: rest(j.scaleBytes(), &j.scales)}
	if j.coding.short {
		m.factors = rest(factorBytes, &j.factors)
	}
	if j.coding.asym {
		m.zeros = rest(j.zeroBytes(), &j.zeros)
	}
	return m
}

// rest writes scales, their factors or zero points, and forgets them.
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
	if j.coding.short {
		j.factors = make([]byte, rows*factorBytes)
	}
	if j.coding.asym {
		j.zeros = make([]byte, rows*j.zeroBytes())
	}
	if err := j.stats.prepare(); err != nil {
		return j.wrap(err)
	}
	defer j.stats.release()
	tileRows, _ := j.tileSize()
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

// tileSize is how many numbers are turned and coded at a time: they stay in the second
// cache. What is stored in columns is read in pieces of a column, which must be long for
// the processor to fetch them ahead; GPTQ takes whole rows, since errors of a column
// reach all behind it.
func (j *job) tileSize() (rows, cols int) {
	switch {
	case j.method == GPTQ || j.coding.short && !j.m.transposed: // of a row's largest scale
		return 32, j.m.cols
	case j.coding.short:
		return 128, j.m.cols
	case j.m.transposed:
		return 256, min(j.m.cols, 512)
	}
	return 64, min(j.m.cols, 1024)
}

// rows makes n rows from row on, spread over the workers. Without out they are
// only measured.
func (j *job) rows(out []byte, row, n int, sum *lossSum) error {
	tileRows, _ := j.tileSize()
	tiles := (n + tileRows - 1) / tileRows
	sums := make([]lossSum, tiles) // added in order: the same bits for any number of workers
	errs := make([]error, max(1, min(j.workers, tiles)))
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
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
		})
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
func (j *job) store(row, block int, c coding, g grid) {
	j.storeScales(row, block, c, []float32{g.scale})
	if j.zeros != nil {
		j.storeZero(row, block, g.zero)
	}
}

func (j *job) storeZero(row, block int, zero uint8) {
	if j.coding.bits == 8 {
		j.zeros[row*j.zeroBytes()+block] = zero
		return
	}
	j.zeros[row*j.zeroBytes()+block/2] |= zero << (block % 2 * 4)
}

// culprit says which number of a row has no code.
func (j *job) culprit(row int) string {
	w := make([]float32, j.m.cols)
	(&reader{loops: j.loops}).load(&j.m, w, len(w), row, 0, 1, len(w))
	for i, x := range w {
		if x-x != 0 {
			return fmt.Sprintf("number %d of row %d is %v; keep them as they are with PATH=keep", i, row, x)
		}
	}
	scales := "float16"
	if j.coding.short {
		scales = "8 bits"
	}
	return fmt.Sprintf("the numbers of row %d are too large for scales of %s; keep them as they are with PATH=keep", row, scales)
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
