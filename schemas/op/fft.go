package op

import (
	"math"
	"math/cmplx"
)

// fourier returns Σ x[k]·exp(∓2πi·jk/n) for every j, with + and divided by n for
// the inverse: Cooley and Tukey's recursion over the prime factors of n = len(x).
func fourier(x []complex128, inverse bool) []complex128 {
	n := len(x)
	roots := make([]complex128, n)
	for i := range roots {
		angle := -2 * math.Pi * float64(i) / float64(n)
		if inverse {
			angle = -angle
		}
		roots[i] = cmplx.Rect(1, angle)
	}
	y := transform(x, 1, n, roots)
	if inverse {
		for i := range y {
			y[i] /= complex(float64(n), 0)
		}
	}
	return y
}

// transform is the recursion over the n elements x[0], x[stride], …
func transform(x []complex128, stride, n int, roots []complex128) []complex128 {
	if n == 1 {
		return []complex128{x[0]}
	}
	p := smallestFactor(n)
	m := n / p
	parts := make([][]complex128, p)
	for r := range parts {
		if m == 1 {
			parts[r] = []complex128{x[r*stride]}
		} else {
			parts[r] = transform(x[r*stride:], stride*p, m, roots)
		}
	}
	y := make([]complex128, n)
	step := len(roots) / n
	for j := range y {
		for r, part := range parts {
			y[j] += times(part[j%m], roots[j*r%n*step])
		}
	}
	return y
}

// times is a·b, its products rounded before they are added.
func times(a, b complex128) complex128 {
	return complex(float64(real(a)*real(b))-float64(imag(a)*imag(b)), float64(real(a)*imag(b))+float64(imag(a)*real(b)))
}

func smallestFactor(n int) int {
	for p := 2; p*p <= n; p++ {
		if n%p == 0 {
			return p
		}
	}
	return n
}
