package simd

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mnnconv/graph"
)

const guard = 32

// guarded returns n numbers with numbers around them that check finds changed.
func guarded(n int) (v []float32, check func() error) { return between[float32](n, 1e30) }

// between returns n elements between guards that check finds changed.
func between[T comparable](n int, is T) (v []T, check func() error) {
	all := make([]T, n+2*guard)
	for i := range all {
		all[i] = is
	}
	return all[guard : guard+n : guard+n], func() error {
		for i, x := range all {
			if x != is && (i < guard || i >= guard+n) {
				return fmt.Errorf("number %d beside %d was written", i-guard, n)
			}
		}
		return nil
	}
}

func numbers(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// panelOf returns rows×cols random numbers, up to so many more apart, of which
// nothing may be read beyond the last one.
func panelOf(r *rand.Rand, rows, cols int) Panel[float32] {
	stride := cols + r.IntN(3)*r.IntN(20)
	v := numbers(r, (rows-1)*stride+cols)
	return Panel[float32]{v[:len(v):len(v)], stride}
}

// extents are small ones, around the extents of tiles and vectors, and odd.
func extent(r *rand.Rand) int {
	switch r.IntN(4) {
	case 0:
		return 1 + r.IntN(4)
	case 1:
		return 1 + r.IntN(70)
	case 2:
		return 16*(1+r.IntN(3)) + r.IntN(3) - 1
	}
	return 1 + r.IntN(24)
}

// each runs a trial at every level of the machine.
func each(t *testing.T, trials int, trial func(l *Level, r *rand.Rand) error) {
	for _, l := range Levels() {
		r := rand.New(rand.NewPCG(1, uint64(l.lanes)))
		for i := range trials {
			if err := trial(l, r); err != nil {
				t.Fatalf("%s, trial %d: %v", l, i, err)
			}
		}
	}
}

// close compares sums of k products, to which others of numbers around 1 were
// added, with those in float64.
func near(got float32, want float64, k int) bool {
	return math.Abs(float64(got)-want) <= 1e-6*float64(k+4)
}

// product is c + a·w in float64, where w(p, j) is the right side.
func product(c, a Panel[float32], w func(p, j int) float32, m, k, n int) []float64 {
	out := make([]float64, 0, m*n)
	for i := range m {
		for j := range n {
			s := float64(c.At[i*c.Stride+j])
			for p := range k {
				s += float64(a.At[i*a.Stride+p]) * float64(w(p, j))
			}
			out = append(out, s)
		}
	}
	return out
}

// sums copies a panel of sums between guards, and returns a check of what became
// of it.
func sums(r *rand.Rand, m, n int) (c, before Panel[float32], check func(want []float64, k int) error) {
	before = panelOf(r, m, n)
	v, written := guarded(len(before.At))
	copy(v, before.At)
	c = Panel[float32]{v, before.Stride}
	return c, before, func(want []float64, k int) error {
		for i := range m {
			for j := range c.Stride {
				at := i*c.Stride + j
				if at >= len(c.At) {
					break
				}
				if j >= n && c.At[at] != before.At[at] {
					return fmt.Errorf("row %d, column %d of %d was written", i, j, n)
				}
				if j < n && !near(c.At[at], want[i*n+j], k) {
					return fmt.Errorf("%d×%d×%d: row %d, column %d is %v, want %v", m, k, n, i, j, c.At[at], want[i*n+j])
				}
			}
		}
		return written()
	}
}

const trials = 10_000

func TestRows(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		m, k, n := 1+r.IntN(26), extent(r), extent(r)
		a, w := panelOf(r, m, k), panelOf(r, k, n)
		c, before, check := sums(r, m, n)
		want := product(before, a, func(p, j int) float32 { return w.At[p*w.Stride+j] }, m, k, n)
		if r.IntN(2) == 0 {
			l.Rows(c, a, w, m, k, n)
		} else {
			l.Stream(c, a, w, m, k, n)
		}
		return check(want, k)
	})
}

// A sum's bits depend on its factors alone: one row gives those of many, cut or not.
func TestRowsAreIndependent(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		m, k, n := 1+r.IntN(26), 1+extent(r), extent(r)
		a, w := panelOf(r, m, k), panelOf(r, k, n)
		all := Panel[float32]{make([]float32, m*n), n}
		l.Rows(all, a, w, m, k, n)
		streamed := Panel[float32]{make([]float32, m*n), n}
		l.Stream(streamed, a, w, m, k, n)
		if !slices.Equal(streamed.At, all.At) {
			return fmt.Errorf("%d×%d×%d: %v streamed, %v as rows", m, k, n, streamed.At, all.At)
		}
		for i := range m {
			one, check := guarded(n)
			cut := make([]float32, n)
			clear(one)
			l.Stream(Panel[float32]{one, n}, a.From(i, 0), w, 1, k, n)
			at := 1 + r.IntN(k-1)
			j := r.IntN(n)
			l.Rows(Panel[float32]{cut, n}, a.From(i, 0), w, 1, at, n)
			l.Rows(Panel[float32]{cut[:j], n}, a.From(i, at), w.From(at, 0), 1, k-at, j)
			l.Stream(Panel[float32]{cut[j:], n}, a.From(i, at), w.From(at, j), 1, k-at, n-j)
			if err := check(); err != nil {
				return err
			}
			for j, x := range all.Row(i, n) {
				if one[j] != x || cut[j] != x {
					return fmt.Errorf("%d×%d×%d: row %d, column %d is %v among others, %v alone, %v cut at %d", m, k, n, i, j, x, one[j], cut[j], at)
				}
			}
		}
		return nil
	})
}

func TestDots(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		m, k, n := 1+r.IntN(9), extent(r), extent(r)
		a, w := panelOf(r, m, k), panelOf(r, n, k)
		c, before, check := sums(r, m, n)
		want := product(before, a, func(p, j int) float32 { return w.At[j*w.Stride+p] }, m, k, n)
		l.Dots(c, a, w, m, k, n)
		if err := check(want, k); err != nil {
			return err
		}
		i := r.IntN(m)
		alone := append([]float32(nil), before.Row(i, n)...)
		l.Dots(Panel[float32]{alone, n}, a.From(i, 0), w, 1, k, n)
		for j, x := range c.Row(i, n) {
			if alone[j] != x {
				return fmt.Errorf("%d×%d×%d: row %d, column %d is %v among others, %v alone", m, k, n, i, j, x, alone[j])
			}
		}
		return nil
	})
}

// Weights of 16 bits give the bits of the same weights as float32.
func TestProductsOfHalves(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		if !l.ReadsHalves() {
			return nil
		}
		m, k, n := 1+r.IntN(14), extent(r), extent(r)
		half := r.IntN(2) == 0
		widen, narrow, dots, stream, rows := l.WidenBF16, l.NarrowBF16, l.DotsBF16, l.StreamBF16, l.RowsOfBF16
		if half {
			widen, narrow, dots, stream, rows = l.WidenF16, l.NarrowF16, l.DotsF16, l.StreamF16, l.RowsOfF16
		}
		w := panelOf(r, n, k)
		h := Panel[uint16]{make([]uint16, len(w.At)), w.Stride}
		narrow(h.At, w.At)
		widen(w.At, h.At)
		a := panelOf(r, m, k)
		c, before, check := sums(r, m, n)
		want := Panel[float32]{append([]float32(nil), before.At...), before.Stride}
		l.Dots(want, a, w, m, k, n)
		dots(c, a, h, m, k, n)
		exact := make([]float64, 0, m*n)
		for i := range m {
			for _, x := range want.Row(i, n) {
				exact = append(exact, float64(x))
			}
		}
		if err := check(exact, -4); err != nil {
			return fmt.Errorf("dots: %w", err)
		}
		// The same as k rows of n: n and k change places.
		x, one := panelOf(r, m, n), Panel[float32]{make([]float32, m*k), k}
		v, beside := guarded(m * k)
		clear(v)
		two := Panel[float32]{v, k}
		l.Stream(one, x, w, m, n, k)
		stream(two, x, h, m, n, k)
		if err := beside(); err != nil {
			return err
		}
		if !slices.Equal(one.At, two.At) {
			return fmt.Errorf("%d×%d×%d: %v streamed, want %v", m, n, k, two.At, one.At)
		}
		left := panelOf(r, m, n)
		all, before, check := sums(r, m, k)
		want = Panel[float32]{append([]float32(nil), before.At...), before.Stride}
		l.Rows(want, left, w, m, n, k)
		rows(all, left, h, m, n, k)
		for i := range m {
			if err := bits("rows", all.Row(i, k), want.Row(i, k)); err != nil {
				return err
			}
		}
		return check(product(before, left, func(p, j int) float32 { return w.At[p*w.Stride+j] }, m, n, k), n)
	})
}

// Parts of numbers of 16 bits are the first ones of the same numbers widened, of which the
// others are zeros; and a row is rounded as NarrowBF16 does.
func TestSplitPairs(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		k, n, count := 2*extent(r), 2*extent(r), 1+r.IntN(2)
		w := panelOf(r, k, n)
		for i := range w.At { // all exponents of float16, and numbers too small to be normal
			w.At[i] *= float32(math.Exp2(float64(r.IntN(40) - 26)))
		}
		h := Panel[uint16]{make([]uint16, len(w.At)), w.Stride}
		narrow, widen, split := l.NarrowBF16, l.WidenBF16, l.SplitPairsBF16
		if count == 2 {
			narrow, widen, split = l.NarrowF16, l.WidenF16, l.SplitPairsF16
		}
		narrow(h.At, w.At)
		widen(w.At, h.At)
		d, _, check := partsOf(r, n, k, count)
		_, twin, _ := partsOf(r, n, k, 3)
		for q := range k / 2 {
			split(d, q, h.Row(2*q, n), h.Row(2*q+1, n), r.IntN(100))
			portable.SplitPairs(twin, q, w.Row(2*q, n), w.Row(2*q+1, n), 0)
		}
		for band := range (n + tileSide - 1) / tileSide {
			for q := range k / 2 {
				for p := range 3 {
					want := twin.line(band, q/tileSide, p, q%tileSide)
					got := make([]float32, tileSide)
					if p < count {
						got = d.line(band, q/tileSide, p, q%tileSide)
					}
					if err := bits("a pair's parts", got, want); err != nil {
						return err
					}
				}
			}
		}
		return check()
	})
}

func TestRound(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		m, steps := extent(r), 1+r.IntN(4)
		d, twin, check := partsOf(r, m, steps*PartsStep, 1)
		for i := range m {
			x := panelOf(r, 1, steps*PartsStep).Row(0, steps*PartsStep)
			x[r.IntN(len(x))] = pick(r, float32(math.Inf(1)), float32(math.NaN()), 1e-40)
			l.Round(d, i, x)
			portable.Round(twin, i, x)
			for step := range steps {
				if err := bits("a row", d.line(i/tileSide, step, 0, i%tileSide), twin.line(i/tileSide, step, 0, i%tileSide)); err != nil {
					return err
				}
			}
		}
		return check()
	})
}

// partsOf returns room for the parts of n rows or columns of k numbers, and as much for a
// twin's.
func partsOf(r *rand.Rand, n, k, count int) (p, twin Parts, check func() error) {
	steps := (k+PartsStep-1)/PartsStep + r.IntN(2)
	v, check := guarded(PartsSize(n, steps*PartsStep, count))
	clear(v)
	return Parts{v, count, steps}, Parts{make([]float32, len(v)), count, steps}, check
}

func TestRowsBF16(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		if !l.MultipliesBF16() {
			return nil
		}
		m, k, n := 1+r.IntN(26), extent(r), extent(r)
		pairs := (k + 1) / 2
		a, w := panelOf(r, m, k), panelOf(r, k, n)
		half := func(p Panel[float32]) []uint16 { // and what is left of the numbers
			h := make([]uint16, len(p.At))
			l.NarrowBF16(h, p.At)
			l.WidenBF16(p.At, h)
			return h
		}
		ha, hw := half(a), half(w)
		pa, pw := Panel[float32]{make([]float32, m*pairs), pairs}, Panel[float32]{Stride: n}
		at, beside := guarded(pairs * n)
		pw.At = at
		for i := range m {
			for p := range k {
				v := uint32(ha[i*a.Stride+p]) << (p % 2 * 16)
				pa.At[i*pairs+p/2] = math.Float32frombits(math.Float32bits(pa.At[i*pairs+p/2]) | v)
			}
		}
		for p := range pairs {
			var high []uint16
			if 2*p+1 < k {
				high = hw[(2*p+1)*w.Stride:][:n]
			}
			l.Interleave(pw.Row(p, n), hw[2*p*w.Stride:], high)
		}
		if err := beside(); err != nil {
			return err
		}
		c, before, check := sums(r, m, n)
		want := product(before, a, func(p, j int) float32 { return w.At[p*w.Stride+j] }, m, k, n)
		l.RowsBF16(c, pa, pw, m, pairs, n)
		return check(want, k)
	})
}

func TestTranspose(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		m, n := extent(r), extent(r)
		src := panelOf(r, m, n)
		dst, _, check := sums(r, n, m)
		want := make([]float64, 0, m*n)
		for j := range n {
			for i := range m {
				want = append(want, float64(src.At[i*src.Stride+j]))
			}
		}
		l.Transpose(dst, src, m, n)
		return check(want, -4)
	})
}

// blocksOf returns random blocks, of which nothing may be read beyond the last one.
func blocksOf(r *rand.Rand, bits, rows, blocks int, zeros bool) *Blocks {
	w := &Blocks{Bits: bits, Scales: panelOf(r, rows, blocks)}
	w.Data.Stride = blocks*w.bytes() + r.IntN(2)*r.IntN(40)
	w.Data.At = make([]uint8, (rows-1)*w.Data.Stride+blocks*w.bytes())
	for i := range w.Data.At {
		w.Data.At[i] = uint8(r.Uint32())
	}
	if zeros {
		w.Zeros = panelOf(r, rows, blocks)
		for i := range w.Zeros.At {
			w.Zeros.At[i] = float32(r.IntN(1 << bits))
		}
	}
	for i := range w.Scales.At { // so that weights are around 1
		w.Scales.At[i] /= float32(int(1) << (bits - 1))
	}
	return w
}

func TestBlocks(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		m, blocks, n := 1+r.IntN(6), 1+r.IntN(8), 1+r.IntN(9)
		if r.IntN(100) == 0 {
			blocks += 128
		}
		w := blocksOf(r, 4+4*r.IntN(2), n, blocks, r.IntN(2) == 0)
		k := blocks * Block
		numbers := Panel[float32]{make([]float32, n*k), k}
		for j := range n {
			got, check := guarded(k)
			l.Dequantise(got, w, j, blocks)
			portable.Dequantise(numbers.Row(j, k), w, j, blocks)
			if err := errors.Join(bits("dequantised", got, numbers.Row(j, k)), check()); err != nil {
				return err
			}
		}
		if !l.ReadsBlocks() {
			return nil
		}
		a := panelOf(r, m, k)
		c, before, check := sums(r, m, n)
		want := product(before, a, func(p, j int) float32 { return numbers.At[j*k+p] }, m, k, n)
		spread, beside := guarded(len(a.At))
		copy(spread, a.At)
		a.At = spread
		l.Spread(a, w.Bits, m, blocks)
		if err := beside(); err != nil {
			return fmt.Errorf("spread: %w", err)
		}
		l.DotsBlocks(c, a, w, m, blocks, n)
		if err := check(want, k); err != nil {
			return fmt.Errorf("%d bits: %w", w.Bits, err)
		}
		i := r.IntN(m)
		alone := append([]float32(nil), before.Row(i, n)...)
		l.DotsBlocks(Panel[float32]{alone, n}, a.From(i, 0), w, 1, blocks, n)
		return bits("one row of many", alone, c.Row(i, n))
	})
}

// Quantised blocks are those of plain Go, byte for byte, and so nearly are the
// products: sums of a block are exact.
func TestQuantised(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		m, blocks, n, width := 1+r.IntN([]int{15, 50}[r.IntN(2)]), 1+r.IntN(9), 1+r.IntN(20), 4+4*r.IntN(2)
		k := blocks * Block
		a := panelOf(r, m, k)
		if r.IntN(4) == 0 {
			clear(a.At[:min(len(a.At), 40)])
		}
		w := blocksOf(r, width, n, blocks, false)
		dots, tiles := DotRecords(width, blocks), TileRecords(blocks)
		x, y := Panel[uint8]{make([]uint8, m*(dots+64)), dots + 64}, Panel[uint8]{make([]uint8, m*(tiles+64)), tiles + 64}
		want := make([]uint8, dots)
		number := Panel[float32]{make([]float32, m*k), k} // what q stand for
		for i := range m {
			for j := range 64 {
				x.At[i*x.Stride+dots+j], y.At[i*y.Stride+tiles+j] = 0xa5, 0xa5
			}
			l.QuantiseDots(x.Row(i, dots), a.Row(i, k), width, blocks)
			l.QuantiseTiles(y.Row(i, tiles), a.Row(i, k), width, blocks)
			portable.QuantiseDots(want, a.Row(i, k), width, blocks)
			if !bytes.Equal(x.Row(i, dots), want) {
				return fmt.Errorf("%d bits: row %d of %d blocks: dots get other records", width, i, blocks)
			}
			portable.QuantiseTiles(want, a.Row(i, k), width, blocks)
			if !bytes.Equal(y.Row(i, tiles), want[:tiles]) {
				return fmt.Errorf("%d bits: row %d of %d blocks: tiles get other records", width, i, blocks)
			}
			for j := range 64 {
				if x.At[i*x.Stride+dots+j] != 0xa5 || y.At[i*y.Stride+tiles+j] != 0xa5 {
					return fmt.Errorf("records of %d blocks are longer than they say", blocks)
				}
			}
			dotSums, tileSums := make([]float32, blocks), make([]float32, blocks)
			BlockSums(dotSums, x.Row(i, dots), width, false)
			BlockSums(tileSums, y.Row(i, tiles), width, true)
			for b := range blocks {
				rec, sum := tileRecordOf(b), 0.0
				for p := range Block {
					at := rec.q + p
					if width == 4 {
						at = rec.q + p/2 + p%2*16
					}
					v := float32(int8(y.At[i*y.Stride+at])) * floatAt(y.Row(i, tiles), rec.scale)
					number.At[i*k+b*Block+p] = v
					sum += float64(v)
					if d := math.Abs(float64(v - a.At[i*a.Stride+b*Block+p])); d > 0.501*float64(floatAt(y.Row(i, tiles), rec.scale)) {
						return fmt.Errorf("%v becomes %v", a.At[i*a.Stride+b*Block+p], v)
					}
				}
				if !near(dotSums[b], sum, Block) || !near(tileSums[b], sum, Block) {
					return fmt.Errorf("block %d: sums %v and %v, want %v", b, dotSums[b], tileSums[b], sum)
				}
			}
		}
		weights := Panel[float32]{make([]float32, n*k), k}
		for j := range n {
			portable.Dequantise(weights.Row(j, k), w, j, blocks)
		}
		c, before, check := sums(r, m, n)
		exact := product(before, number, func(p, j int) float32 { return weights.At[j*k+p] }, m, k, n)
		l.DotsQuantised(c, x, w, m, blocks, n)
		if err := check(exact, 4*k); err != nil {
			return fmt.Errorf("dots with %d bits: %w", width, err)
		}
		i := r.IntN(m)
		alone := append([]float32(nil), before.Row(i, n)...)
		l.DotsQuantised(Panel[float32]{alone, n}, Panel[uint8]{x.Row(i, dots), dots}, w, 1, blocks, n)
		if err := bits("one row of many", alone, c.Row(i, n)); err != nil {
			return err
		}
		halves := *w
		halves.Halves, halves.Scales = Panel[uint16]{make([]uint16, len(w.Scales.At)), w.Scales.Stride}, Panel[float32]{}
		portable.NarrowF16(halves.Halves.At, w.Scales.At)
		rounded := *w
		rounded.Scales.At = make([]float32, len(w.Scales.At))
		portable.WidenF16(rounded.Scales.At, halves.Halves.At)
		one, two := append([]float32(nil), before.At...), append([]float32(nil), before.At...)
		l.DotsQuantised(Panel[float32]{one, before.Stride}, x, &rounded, m, blocks, n)
		l.DotsQuantised(Panel[float32]{two, before.Stride}, x, &halves, m, blocks, n)
		if err := bits("scales of float16", two, one); err != nil {
			return err
		}
		if err := codedScales(r, l, x, w, number, m, blocks, n); err != nil {
			return err
		}
		cols := l.QuantisedCols(width)
		if cols == 0 {
			return nil
		}
		tile, before, check := sums(r, m, cols)
		padded := product(before, number, func(p, j int) float32 {
			if j < min(n, cols) {
				return weights.At[j*k+p]
			}
			return 0
		}, m, k, cols)
		packed, beside := between[uint8](l.PanelBytes(blocks), 0xa5)
		l.Pack(packed, w, blocks, min(n, cols))
		if err := beside(); err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		l.TileQuantised(tile, y, packed, m, blocks, Soon{Rows: w.Data, N: n, Bytes: blocks * w.bytes()})
		if err := check(padded, 4*k); err != nil {
			return fmt.Errorf("tile with %d bits: %w", width, err)
		}
		return nil
	})
}

// codedScales judges dots of m rows of records x, which stand for numbers, with scales of
// 8 bits times a factor for each row.
func codedScales(r *rand.Rand, l *Level, x Panel[uint8], w *Blocks, number Panel[float32], m, blocks, n int) error {
	k := blocks * Block
	coded, wide := *w, *w
	stride := blocks + r.IntN(3)
	coded.Scales, coded.Codes = Panel[float32]{}, Panel[int8]{make([]int8, (n-1)*stride+blocks), stride}
	wide.Scales, coded.Factor = Panel[float32]{make([]float32, n*blocks), blocks}, numbers(r, n)
	for j := range n {
		coded.Factor[j] /= float32(int(127) << (w.Bits - 1)) // weights are around 1
		for b := range blocks {
			code := int8(r.IntN(255) - 127)
			coded.Codes.At[j*stride+b] = code
			wide.Scales.At[j*blocks+b] = float32(code) * coded.Factor[j]
		}
	}
	weights := Panel[float32]{make([]float32, n*k), k}
	for j := range n {
		portable.Dequantise(weights.Row(j, k), &wide, j, blocks)
	}
	c, before, check := sums(r, m, n)
	exact := product(before, number, func(p, j int) float32 { return weights.At[j*k+p] }, m, k, n)
	l.DotsQuantised(c, x, &coded, m, blocks, n)
	if err := check(exact, 4*k); err != nil {
		return fmt.Errorf("dots with scales of 8 bits: %w", err)
	}
	i := r.IntN(m)
	alone := append([]float32(nil), before.Row(i, n)...)
	l.DotsQuantised(Panel[float32]{alone, n}, Panel[uint8]{x.At[i*x.Stride:], x.Stride}, &coded, 1, blocks, n)
	return bits("one row of many, with scales of 8 bits", alone, c.Row(i, n))
}

// What is no number stays none.
func TestQuantisedNoNumber(t *testing.T) {
	each(t, 100, func(l *Level, r *rand.Rand) error {
		const blocks = 5
		a := numbers(r, blocks*Block)
		a[r.IntN(len(a))] = float32(math.NaN())
		for _, width := range []int{4, 8} {
			w := blocksOf(r, width, 16, blocks, false)
			x, y := make([]uint8, DotRecords(width, blocks)), make([]uint8, TileRecords(blocks))
			l.QuantiseDots(x, a, width, blocks)
			l.QuantiseTiles(y, a, width, blocks)
			c := make([]float32, 32)
			l.DotsQuantised(Panel[float32]{c, 16}, Panel[uint8]{x, len(x)}, w, 1, blocks, 16)
			if cols := l.QuantisedCols(width); cols > 0 {
				packed := make([]uint8, l.PanelBytes(blocks))
				l.Pack(packed, w, blocks, cols)
				l.TileQuantised(Panel[float32]{c[16:], 16}, Panel[uint8]{y, len(y)}, packed, 1, blocks, Soon{})
			}
			if c[3] == c[3] || l.QuantisedCols(width) > 0 && c[19] == c[19] {
				return fmt.Errorf("%d bits: %v and %v", width, c[3], c[19])
			}
		}
		return nil
	})
}

// bits compares what should be the same bits, not-a-numbers apart.
func bits(what string, got, want []float32) error {
	for i, x := range got {
		if math.Float32bits(x) != math.Float32bits(want[i]) && (x == x || want[i] == want[i]) {
			return fmt.Errorf("%s: number %d of %d is %v (%#x), want %v (%#x)", what, i, len(got), x, math.Float32bits(x), want[i], math.Float32bits(want[i]))
		}
	}
	return nil
}

// odd returns n numbers with some that are special.
func odd(r *rand.Rand, n int) []float32 {
	v := numbers(r, n)
	inf := float32(math.Inf(1))
	special := []float32{0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()), 100, -100, 1e-40, 65519, 65520, -7e-6, 3e38, 88.37, -87.34}
	for i := range v {
		switch r.IntN(60) {
		case 0:
			v[i] = special[r.IntN(len(special))]
		case 1:
			v[i] = math.Float32frombits(r.Uint32())
		case 2:
			v[i] *= 30
		}
	}
	return v
}

// What works number by number has the bits of plain Go at every level, and so have
// sums.
func TestElementwise(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		n := r.IntN(140)
		x, y := odd(r, n), odd(r, n)
		if r.IntN(2) == 0 {
			x, y = numbers(r, n), numbers(r, n)
		}
		by := float32(r.NormFloat64())
		for _, f := range []struct {
			name string
			do   func(l *Level, z []float32)
		}{
			{"Add", func(l *Level, z []float32) { l.Add(z, x, y) }},
			{"Sub", func(l *Level, z []float32) { l.Sub(z, x, y) }},
			{"Mul", func(l *Level, z []float32) { l.Mul(z, x, y) }},
			{"Div", func(l *Level, z []float32) { l.Div(z, x, y) }},
			{"Scale", func(l *Level, z []float32) { l.Scale(z, x, by) }},
			{"SwishMul", func(l *Level, z []float32) { l.SwishMul(z, x, y, by) }},
			{"TurnHalves", func(l *Level, z []float32) { l.TurnHalves(z, x, y[:n/2], y[n/2:][:n/2]); copy(z[n/2*2:], x[n/2*2:]) }},
			{"Exp", func(l *Level, z []float32) { copy(z, x); l.ExpShifted(z, by) }},
		} {
			got, check := guarded(n)
			want := make([]float32, n)
			f.do(l, got)
			f.do(portable, want)
			if err := errors.Join(bits(f.name, got, want), check()); err != nil {
				return err
			}
		}
		rounded, check := guarded(n)
		copy(rounded, x)
		want := append([]float32(nil), x...)
		l.RoundF16(rounded)
		portable.RoundF16(want)
		if err := errors.Join(bits("RoundF16", rounded, want), check()); err != nil {
			return err
		}
		finite := numbers(r, n)
		return bits("sums", []float32{l.Sum(finite), l.SumSquares(finite), l.Largest(x, -3)},
			[]float32{portable.Sum(finite), portable.SumSquares(finite), portable.Largest(x, -3)})
	})
}

func TestConversions(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		n := r.IntN(100)
		x := odd(r, n)
		for _, f := range []struct {
			name   string
			narrow func(dst []uint16, src []float32)
			widen  func(dst []float32, src []uint16)
			one    func(float32) uint16
			back   func(uint16) float32
		}{
			{"float16", l.NarrowF16, l.WidenF16, graph.F32ToF16, graph.F16ToF32},
			{"bfloat16", l.NarrowBF16, l.WidenBF16, graph.F32ToBF16, func(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }},
		} {
			h, beside := between[uint16](n, 0xa5a5)
			f.narrow(h, x)
			if err := beside(); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			for i, v := range x {
				if h[i] != f.one(v) && v == v {
					return fmt.Errorf("%s: %v becomes %#x, want %#x", f.name, v, h[i], f.one(v))
				}
			}
			got, check := guarded(n)
			want := make([]float32, n)
			for i := range want {
				h[i] ^= uint16(r.Uint32())
				want[i] = f.back(h[i])
			}
			f.widen(got, h)
			if err := errors.Join(bits(f.name, got, want), check()); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestChoose(t *testing.T) {
	levels := Levels()
	for _, l := range levels {
		if got, err := choose(l.String(), levels); got != l || err != nil {
			t.Errorf("%s: got %v, %v", l, got, err)
		}
	}
	if l, err := choose("", levels); l != levels[0] || err != nil {
		t.Errorf("no name: %v, %v", l, err)
	}
	if _, err := choose("mmx", levels); err == nil || !strings.Contains(err.Error(), "mmx") || !strings.Contains(err.Error(), "go") {
		t.Errorf("unknown name: %v", err)
	}
}

// tilesTwin is RowsParts of one part in plain Go.
func tilesTwin(c, a, w Panel[float32], m, k, n int) {
	halves := func(p float32) (float32, float32) {
		b := math.Float32bits(p)
		return math.Float32frombits(b << 16), math.Float32frombits(b &^ 0xffff)
	}
	for i := range m {
		for j := range n {
			for from := 0; from < k; from += tileSide {
				var low, high float32
				for p := from; p < min(k, from+tileSide); p++ {
					al, ah := halves(a.At[i*a.Stride+p])
					wl, wh := halves(w.At[p*w.Stride+j])
					low += float32(al * wl)
					high += float32(ah * wh)
				}
				c.At[i*c.Stride+j] += low + high
			}
		}
	}
}

// Tiles give the bits of plain Go.
func TestTiles(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		if !l.tiles {
			return nil
		}
		blocks, steps := 1+r.IntN(3), 1+r.IntN(4)
		m, k, n := blocks*PartsBlock, steps*tileSide, PartsBlock
		a, w := panelOf(r, m, k), panelOf(r, k, n)
		for _, p := range [][]float32{a.At, w.At} { // a second number in the low half
			for i, x := range p {
				p[i] = math.Float32frombits(math.Float32bits(x)&^0xffff | math.Float32bits(float32(r.NormFloat64()))>>16)
			}
		}
		x, _, _ := partsOf(r, m, steps*PartsStep, 1)
		y, _, _ := partsOf(r, n, steps*PartsStep, 1)
		for step := range steps {
			for i := range m {
				copy(x.line(i/tileSide, step, 0, i%tileSide), a.Row(i, k)[step*tileSide:])
			}
			for i := range tileSide {
				for j := range 2 {
					copy(y.line(j, step, 0, i), w.Row(step*tileSide+i, n)[j*tileSide:])
				}
			}
		}
		c, before, check := sums(r, m, n)
		want := Panel[float32]{append([]float32(nil), before.At...), before.Stride}
		tilesTwin(want, a, w, m, k, n)
		l.RowsParts(c, x, y, m, steps, x.At)
		exact := make([]float64, 0, m*n)
		for i := range m {
			for _, x := range want.Row(i, n) {
				exact = append(exact, float64(x))
			}
		}
		return check(exact, -4)
	})
}

// Parts are those of plain Go, and products of three of them, or of two of numbers
// with sixteen bits, are as good as float32's.
func TestParts(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		m, k, n := extent(r), extent(r), extent(r)
		a, w := panelOf(r, m, k), panelOf(r, k, n)
		ofA, ofW := 2+r.IntN(2), 2+r.IntN(2)
		for _, p := range []struct {
			of    Panel[float32]
			count int
		}{{a, ofA}, {w, ofW}} {
			for i, x := range p.of.At {
				if x *= float32(math.Exp2(float64(r.IntN(40)-30) / 10)); p.count == 2 {
					x = math.Float32frombits(math.Float32bits(x) &^ 0xff)
				}
				p.of.At[i] = x
			}
		}
		steps := (k + PartsStep - 1) / PartsStep
		x, xTwin, checkX := partsOf(r, m, k, ofA)
		y, yTwin, checkY := partsOf(r, n, k, ofW)
		for i := range m {
			row := make([]float32, steps*PartsStep)
			copy(row, a.Row(i, k))
			l.Split(x, i, row)
			portable.Split(xTwin, i, row)
		}
		for q := range steps * tileSide {
			rows := [2][]float32{make([]float32, n), make([]float32, n)}
			for i := range rows {
				if 2*q+i < k {
					rows[i] = w.Row(2*q+i, n)
				}
			}
			l.SplitPairs(y, q, rows[0], rows[1], r.IntN(100))
			portable.SplitPairs(yTwin, q, rows[0], rows[1], 0)
		}
		for step := range steps {
			for p := range ofA {
				for i := range m {
					if err := bits("a row's parts", x.line(i/tileSide, step, p, i%tileSide), xTwin.line(i/tileSide, step, p, i%tileSide)); err != nil {
						return err
					}
				}
			}
			for p := range ofW {
				for i := range (n + tileSide - 1) / tileSide * tileSide {
					if err := bits("a pair's parts", y.line(i/tileSide, step, p, i%tileSide), yTwin.line(i/tileSide, step, p, i%tileSide)); err != nil {
						return err
					}
				}
			}
		}
		if err := errors.Join(checkX(), checkY()); err != nil || !l.tiles {
			return err
		}
		whole := func(n int) int { return (n + PartsBlock - 1) / PartsBlock * PartsBlock }
		c, before, check := sums(r, whole(m), whole(n))
		left := Panel[float32]{make([]float32, whole(m)*k), k} // what is missing is zero
		for i := range m {
			copy(left.Row(i, k), a.Row(i, k))
		}
		want := product(before, left, func(p, j int) float32 {
			if j >= n {
				return 0
			}
			return w.At[p*w.Stride+j]
		}, whole(m), k, whole(n))
		from := r.IntN(steps + 1) // in two stretches
		for j := 0; j < n; j += PartsBlock {
			x1, y0, y1 := x.From(0, from), y.From(j, 0), y.From(j, from)
			l.RowsParts(c.From(0, j), x, y0, m, from, x.At)
			l.RowsParts(c.From(0, j), x1, y1, m, steps-from, x.At)
		}
		return check(want, k)
	})
}
