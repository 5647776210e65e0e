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

// Codes of 8 bits give the bits of the same numbers as float32.
func TestProductsOfCodes(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		if !l.ReadsHalves() {
			return nil
		}
		m, k, n := 1+r.IntN(14), extent(r), extent(r)
		codes, w := codesFor(r, n, k)
		a := panelOf(r, m, k)
		c, before, _ := sums(r, m, n)
		want := Panel[float32]{slices.Clone(before.At), before.Stride}
		l.Dots(want, a, w, m, k, n)
		l.DotsI8(c, a, codes, m, k, n)
		if !slices.Equal(c.At, want.At) {
			return fmt.Errorf("%d×%d×%d: dots %v, want %v", m, k, n, c.At, want.At)
		}
		x := panelOf(r, m, n) // the same as n rows of k
		all, before, check := sums(r, m, k)
		want = Panel[float32]{slices.Clone(before.At), before.Stride}
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
