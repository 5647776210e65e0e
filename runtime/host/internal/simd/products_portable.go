package simd

// These take up products in ascending order, one by one, as the reference does;
// products are rounded before they are added, so that no compiler fuses the two
// and all machines agree. Each has as many sums or factors as the compiler keeps
// in registers (4; with 16 sums it stores them in every round).

func addRows(c, a, w Panel[float32], m, k, n int) {
	for i := range m {
		sums, x := c.Row(i, n), a.Row(i, k)
		p := 0
		for ; p+4 <= k; p += 4 {
			addRow4(sums, (*[4]float32)(x[p:]), w.Row(p, n), w.Row(p+1, n), w.Row(p+2, n), w.Row(p+3, n))
		}
		for ; p < k; p++ {
			for j, v := range w.Row(p, n) {
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

func addDots(c, a, w Panel[float32], m, k, n int) {
	j := 0
	for ; j+4 <= n; j += 4 {
		w0, w1, w2, w3 := w.Row(j, k), w.Row(j+1, k), w.Row(j+2, k), w.Row(j+3, k)
		for i := range m {
			addDot4((*[4]float32)(c.At[i*c.Stride+j:]), a.Row(i, k), w0, w1, w2, w3)
		}
	}
	for ; j < n; j++ {
		for i := range m {
			s := c.At[i*c.Stride+j]
			x := a.Row(i, k)
			for p, v := range w.Row(j, k) {
				s += float32(x[p] * v)
			}
			c.At[i*c.Stride+j] = s
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
