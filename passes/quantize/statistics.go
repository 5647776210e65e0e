package quantize

import (
	"fmt"
	"math"
	"sync"
)

// statistics says how the inputs of a product go together in calibration data: the
// sum of x·xᵀ over its rows x. Products that read one value share it; it lives
// from when the first of them needs it until the last is done.
type statistics struct {
	size  int
	users int                     // jobs that still need it
	fetch func(*statistics) error // fills sums, and those of others that fit beside it
	sums  []float32               // [size, size], the upper half
	rows  int                     // that were added
	// Made of sums by prepare, in their place.
	factor   []float32 // U, upper, with (sums + damping)⁻¹ = Uᵀ·U
	diagonal []float32 // mean square of each input
}

// damping is what is added to the diagonal, as a part of its mean.
const damping = 0.01

// Add adds rows of inputs [rows, size].
func (s *statistics) add(x []float32) {
	if s.sums == nil {
		s.sums = make([]float32, s.size*s.size)
	}
	n := len(x) / s.size
	s.rows += n
	parallel(s.size, func(i int) {
		out := s.sums[i*s.size:][:s.size]
		for r := range n {
			row := x[r*s.size:][:s.size]
			if row[i] == 0 {
				continue
			}
			for k := i; k < s.size; k++ {
				out[k] += float32(row[i] * row[k])
			}
		}
	})
}

// prepare factors the sums. nil does nothing.
func (s *statistics) prepare() error {
	if s == nil || s.factor != nil {
		return nil
	}
	if s.sums == nil {
		if err := s.fetch(s); err != nil {
			return err
		}
	}
	if s.rows == 0 || s.sums == nil {
		return fmt.Errorf("%w: no calibration data came to its input: ask questions that reach it, such as of pictures for vision, or give it another method, such as round", ErrValues)
	}
	n, a := s.size, s.sums
	mean := 0.0
	s.diagonal = make([]float32, n)
	for i := range n {
		mean += float64(a[i*n+i]) / float64(n)
		s.diagonal[i] = a[i*n+i] / float32(s.rows)
	}
	if mean-mean != 0 {
		return fmt.Errorf("%w: calibration data are not finite", ErrValues)
	}
	for i := range n {
		a[i*n+i] += float32(float64(damping*mean) + 1e-12)
	}
	if err := factor(a, n); err != nil {
		return err
	}
	invert(a, n)
	s.factor, s.sums = a, nil
	return nil
}

// release forgets everything when the last user is done.
func (s *statistics) release() {
	if s == nil {
		return
	}
	if s.users--; s.users == 0 {
		s.factor, s.sums, s.diagonal = nil, nil, nil
	}
}

// factor overwrites the upper half of the symmetric matrix a [n, n] by R, upper,
// with a = R·Rᵀ: Cholesky's factorisation from the last row up.
func factor(a []float32, n int) error {
	for j := n - 1; j >= 0; j-- {
		row := a[j*n:][:n]
		d := float64(row[j]) - dot(row[j+1:], row[j+1:])
		if !(d > 0) {
			return fmt.Errorf("%w: calibration data do not determine input %d of %d; give more questions", ErrValues, j, n)
		}
		root := math.Sqrt(d)
		row[j] = float32(root)
		parallel(j, func(i int) {
			other := a[i*n:][:n]
			other[j] = float32((float64(other[j]) - dot(other[j+1:], row[j+1:])) / root)
		})
	}
	return nil
}

func dot(x, y []float32) float64 {
	y = y[:len(x)]
	var a, b float64
	i := 0
	for ; i+1 < len(x); i += 2 {
		a += float64(x[i]) * float64(y[i])
		b += float64(x[i+1]) * float64(y[i+1])
	}
	if i < len(x) {
		a += float64(x[i]) * float64(y[i])
	}
	return a + b
}

// invert overwrites the upper matrix a [n, n] by its inverse.
func invert(a []float32, n int) {
	r := make([]float32, n)
	const wide = 512 // columns at a time
	for i := n - 1; i >= 0; i-- {
		row := a[i*n:][:n]
		copy(r[i:], row[i:])
		by := -1 / r[i]
		row[i] = 1 / r[i]
		parallel((n-i-1+wide-1)/wide, func(part int) {
			from := i + 1 + part*wide
			to := min(from+wide, n)
			out := row[from:to]
			clear(out)
			for k := i + 1; k < to; k++ {
				first := max(k, from)
				f := r[k] * by
				in := a[k*n+first:][:to-first]
				o := out[first-from:]
				for c, x := range in {
					o[c] += float32(f * x)
				}
			}
		})
	}
}

// parallel calls f for 0..n-1 from two goroutines or more; small n from one.
func parallel(n int, f func(int)) {
	const least = 64
	workers := min(4, n/least)
	if workers < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}
