package host

// inner holds the innermost loops of matrix products: all that a processor's
// vector instructions would replace. They work on panels that fit the caches.
//
// Both add m×k numbers a times k×n numbers w to the m×n sums c. The order in
// which a sum takes up its products must depend on neither m nor n nor where
// k was cut: a row's bits are the same however many rows travel with it.
type inner struct {
	rows func(c, a, w panel, m, k, n int) // w is stored as k rows of n
	dots func(c, a, w panel, m, k, n int) // w is stored as n rows of k
}

// panel is a matrix that lies in a larger one: rows start stride numbers apart.
type panel struct {
	at     []float32
	stride int
}

func (p panel) row(i, n int) []float32 { return p.at[i*p.stride:][:n] }

// newInner returns the loops for this processor: so far the portable ones.
//
// These take up products in ascending order, one by one, as the reference does;
// products are rounded before they are added, so that no compiler fuses the two
// and all machines agree. Each has as many sums or factors as the compiler
// keeps in registers (4; with 16 sums it stores them in every round).
func newInner() inner { return inner{rows: addRows, dots: addDots} }

func addRows(c, a, w panel, m, k, n int) {
	for i := range m {
		sums, x := c.row(i, n), a.row(i, k)
		p := 0
		for ; p+4 <= k; p += 4 {
			addRow4(sums, (*[4]float32)(x[p:]), w.row(p, n), w.row(p+1, n), w.row(p+2, n), w.row(p+3, n))
		}
		for ; p < k; p++ {
			for j, v := range w.row(p, n) {
				sums[j] += float32(x[p] * v)
			}
		}
	}
}

func addRow4(sums []float32, x *[4]float32, w0, w1, w2, w3 []float32) {
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
	n := len(sums)
	w0, w1, w2, w3 = w0[:n], w1[:n], w2[:n], w3[:n]
	for j := range sums {
		sums[j] = sums[j] + float32(x0*w0[j]) + float32(x1*w1[j]) + float32(x2*w2[j]) + float32(x3*w3[j])
	}
}

func addDots(c, a, w panel, m, k, n int) {
	j := 0
	for ; j+4 <= n; j += 4 {
		w0, w1, w2, w3 := w.row(j, k), w.row(j+1, k), w.row(j+2, k), w.row(j+3, k)
		for i := range m {
			addDot4((*[4]float32)(c.at[i*c.stride+j:]), a.row(i, k), w0, w1, w2, w3)
		}
	}
	for ; j < n; j++ {
		for i := range m {
			s := c.at[i*c.stride+j]
			x := a.row(i, k)
			for p, v := range w.row(j, k) {
				s += float32(x[p] * v)
			}
			c.at[i*c.stride+j] = s
		}
	}
}

func addDot4(sums *[4]float32, x, w0, w1, w2, w3 []float32) {
	w0, w1, w2, w3 = w0[:len(x)], w1[:len(x)], w2[:len(x)], w3[:len(x)]
	s0, s1, s2, s3 := sums[0], sums[1], sums[2], sums[3]
	for p, v := range x {
		s0 += float32(v * w0[p])
		s1 += float32(v * w1[p])
		s2 += float32(v * w2[p])
		s3 += float32(v * w3[p])
	}
	*sums = [4]float32{s0, s1, s2, s3}
}
