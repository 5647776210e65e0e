package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// codesFor returns random codes, of which nothing may be read beyond the last one, and
// their numbers.
func codesFor(r *rand.Rand, rows, cols int) (Panel[int8], Panel[float32]) {
	w := panelOf(r, rows, cols)
	c := Panel[int8]{make([]int8, len(w.At)), w.Stride}
	for i := range c.At {
		c.At[i] = int8(r.IntN(256) - 128)
		w.At[i] = float32(c.At[i])
	}
	return c, w
}

// Codes of 8 bits give what the same numbers as float32 do: sums of rows their bits. A
// product is the same alone as among others.
func TestProductsOfCodes(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		if !l.ReadsHalves() {
			return nil
		}
		m, k, n := 1+r.IntN(14), extent(r), extent(r)
		codes, w := codesFor(r, n, k)
		a := panelOf(r, m, k)
		c, before, _ := sums(r, m, n)
		if r.IntN(2) == 0 { // as long as rows of integers are
			k = 64 * (1 + r.IntN(3))
			codes, w = codesFor(r, n, k)
			a = panelOf(r, m, k)
			c, before, _ = sums(r, m, n)
		}
		if r.IntN(8) == 0 { // a row that no integers are near to
			row := a.Row(r.IntN(m), k)
			row[r.IntN(k)] = []float32{0, 1e30, float32(math.Inf(1))}[r.IntN(3)]
			if r.IntN(2) == 0 {
				clear(row)
			}
		}
		buf, beside := guarded((1 + r.IntN(m)) * max(1, k/64) * 52)
		l.DotsI8(c, a, codes, m, k, n, buf)
		if err := beside(); err != nil {
			return err
		}
		for i := range m {
			for j := range c.Stride {
				at := i*c.Stride + j
				if at >= len(c.At) {
					break
				}
				if j >= n && c.At[at] != before.At[at] {
					return fmt.Errorf("row %d, column %d of %d was written", i, j, n)
				}
				if j >= n {
					continue
				}
				want, all, top := float64(before.At[at]), 1.0, 0.0
				for p, x := range a.Row(i, k) {
					want += float64(x) * float64(codes.At[j*codes.Stride+p])
					all += math.Abs(float64(x) * float64(codes.At[j*codes.Stride+p]))
					top = max(top, math.Abs(float64(x)))
				}
				if got := float64(c.At[at]); !(math.Abs(got-want) <= 0x1p-21*all+0x1p-23*top*float64(64*k)) && !math.IsNaN(want) && got != want {
					return fmt.Errorf("%d×%d×%d: row %d, column %d is %v, want %v", m, k, n, i, j, got, want)
				}
			}
		}
		i, j := r.IntN(m), r.IntN(n) // one alone
		one := []float32{before.At[i*c.Stride+j]}
		l.DotsI8(Panel[float32]{one, 1}, a.From(i, 0), codes.From(j, 0), 1, k, 1, buf)
		if err := bits("one", one, c.At[i*c.Stride+j:][:1]); err != nil {
			return err
		}
		x := panelOf(r, m, n) // the same as n rows of k
		all, before, check := sums(r, m, k)
		want := Panel[float32]{slices.Clone(before.At), before.Stride}
		l.Rows(want, x, w, m, n, k)
		l.RowsOfI8(all, x, codes, m, n, k)
		exact := make([]float64, 0, m*k)
		for i := range m {
			if err := bits("rows", all.Row(i, k), want.Row(i, k)); err != nil {
				return err
			}
			for _, v := range want.Row(i, k) {
				exact = append(exact, float64(v))
			}
		}
		return check(exact, -4)
	})
}

// Codes, their numbers and magnitudes are the same at every level, and nothing beside
// them is written.
func TestCodesOfNumbers(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		x := numbers(r, r.IntN(80))
		for i := range x {
			switch r.IntN(200) {
			case 0:
				x[i] = float32(math.NaN())
			case 1:
				x[i] = float32(math.Inf(1 - 2*r.IntN(2)))
			case 2:
				x[i] = 0
			case 3:
				x[i] *= 1e-42
			}
		}
		top := l.Magnitude(x)
		if err := bits("magnitude", []float32{top}, []float32{portable.Magnitude(x)}); err != nil {
			return err
		}
		scale := top / 127
		if r.IntN(3) == 0 {
			scale = float32(r.NormFloat64()) / 50
		}
		got, beside := between[int8](len(x), 77)
		l.NarrowI8(got, x, scale)
		if err := beside(); err != nil {
			return err
		}
		want := make([]int8, len(x))
		portable.NarrowI8(want, x, scale)
		if !slices.Equal(got, want) {
			return fmt.Errorf("%v / %v: codes %v, want %v", x, scale, got, want)
		}
		wide, beside := guarded(len(x))
		l.WidenI8(wide, got)
		for i, c := range got {
			if wide[i] != float32(c) {
				return fmt.Errorf("code %d became %v", c, wide[i])
			}
		}
		return beside()
	})
}
