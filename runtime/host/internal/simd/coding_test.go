package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// groupsOf returns some blocks of numbers, now and then with zeros and numbers far
// apart, of which nothing may be read beyond the last one.
func groupsOf(r *rand.Rand) (w []float32, block, n int) {
	block, n = 16<<r.IntN(5), r.IntN(6)
	w = numbers(r, block*n)
	for range r.IntN(4) {
		if len(w) > 0 {
			w[r.IntN(len(w))] = []float32{0, float32(math.Copysign(0, -1)), 1e-30, -40, 65504}[r.IntN(5)]
		}
	}
	if r.IntN(10) == 0 {
		clear(w)
	}
	return w[:len(w):len(w)], block, n
}

// bitsOf tells numbers apart that == does not.
func bitsOf(v ...float32) []uint32 {
	out := make([]uint32, len(v))
	for i, x := range v {
		out[i] = math.Float32bits(x)
	}
	return out
}

func TestExtremes(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		w, block, n := groupsOf(r)
		least, leastOnly := guarded(n)
		most, mostOnly := guarded(n)
		wantLeast, wantMost := make([]float32, n), make([]float32, n)
		portable.Extremes(wantLeast, wantMost, w, block)
		l.Extremes(least, most, w, block)
		if !slices.Equal(bitsOf(least...), bitsOf(wantLeast...)) || !slices.Equal(bitsOf(most...), bitsOf(wantMost...)) {
			return fmt.Errorf("%d blocks of %d: %v to %v, want %v to %v", n, block, least, most, wantLeast, wantMost)
		}
		for b := range n {
			if sorted := slices.Sorted(slices.Values(w[b*block:][:block])); most[b] != max(0, sorted[block-1]) || least[b] != min(0, sorted[0]) {
				return fmt.Errorf("%d blocks of %d: %v to %v are not the extremes", n, block, least[b], most[b])
			}
		}
		if err := leastOnly(); err != nil {
			return err
		}
		return mostOnly()
	})
}

func TestCodes(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		w, block, n := groupsOf(r)
		top := []int{15, 255}[r.IntN(2)]
		scale, inverse, zero := make([]float32, n), make([]float32, n), make([]float32, n)
		for b := range scale {
			scale[b], zero[b] = float32(r.NormFloat64()*0.1), float32(r.IntN(top+1))
			if scale[b] != 0 && r.IntN(10) > 0 {
				inverse[b] = 1 / scale[b]
			}
		}
		if top*n > 0 && r.IntN(50) == 0 {
			w[r.IntN(len(w))] = float32(math.NaN())
		}
		want, q := make([]uint8, len(w)), make([]uint8, len(w)+2*guard)
		for i := range q {
			q[i] = 0xa5
		}
		wantSum, wantLargest := portable.Codes(want, w, scale, inverse, zero, top, block)
		sum, largest := l.Codes(q[guard:guard+len(w)], w, scale, inverse, zero, top, block)
		if wantSum != wantSum { // a sum that is no number says all
			if sum == sum {
				return fmt.Errorf("the sum is %v where a number is NaN", sum)
			}
			return nil
		}
		if !slices.Equal(q[guard:guard+len(w)], want) || !slices.Equal(bitsOf(sum, largest), bitsOf(wantSum, wantLargest)) {
			return fmt.Errorf("%d blocks of %d: %v, %v and %v, want %v, %v and %v", n, block, q, sum, largest, want, wantSum, wantLargest)
		}
		for i := range guard {
			if q[i] != 0xa5 || q[len(q)-1-i] != 0xa5 {
				return fmt.Errorf("%d blocks of %d: a byte beside the codes was written", n, block)
			}
		}
		return nil
	})
}

// TestCodesAreNearest looks at the codes themselves.
func TestCodesAreNearest(t *testing.T) {
	w := []float32{-9, -8, -7.6, -7.4, -1, -0.51, -0.49, 0, 0.49, 0.51, 1, 6.4, 6.6, 7, 8, 100}
	want := []uint8{0, 0, 0, 1, 7, 7, 8, 8, 8, 9, 9, 14, 15, 15, 15, 15}
	for _, l := range Levels() {
		q := make([]uint8, 16)
		_, largest := l.Codes(q, w, []float32{1}, []float32{1}, []float32{8}, 15, 16)
		if !slices.Equal(q, want) || largest != 93 {
			t.Errorf("%s: %v and %v, want %v and 93", l, q, largest, want)
		}
	}
}

func TestNibbles(t *testing.T) {
	each(t, trials, func(l *Level, r *rand.Rand) error {
		n := r.IntN(100)
		q, got := make([]uint8, 2*n), make([]uint8, n+2*guard)
		for i := range q {
			q[i] = uint8(r.IntN(16))
		}
		l.Nibbles(got[guard:guard+n], q)
		for i, b := range got {
			want := uint8(0)
			if k := i - guard; k >= 0 && k < n {
				want = q[2*k] | q[2*k+1]<<4
			}
			if b != want {
				return fmt.Errorf("%d bytes: %d is %#x, want %#x", n, i-guard, b, want)
			}
		}
		return nil
	})
}
