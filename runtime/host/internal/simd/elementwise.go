package simd

// Add stores x + y in z.
func (l *Level) Add(z, x, y []float32) {
	x, y = x[:len(z)], y[:len(z)]
	i := l.whole(len(z))
	if i > 0 {
		l.add(&z[0], &x[0], &y[0], i)
	}
	for ; i < len(z); i++ {
		z[i] = x[i] + y[i]
	}
}

// Sub stores x - y in z.
func (l *Level) Sub(z, x, y []float32) {
	x, y = x[:len(z)], y[:len(z)]
	i := l.whole(len(z))
	if i > 0 {
		l.sub(&z[0], &x[0], &y[0], i)
	}
	for ; i < len(z); i++ {
		z[i] = x[i] - y[i]
	}
}

// Mul stores x·y in z.
func (l *Level) Mul(z, x, y []float32) {
	x, y = x[:len(z)], y[:len(z)]
	i := l.whole(len(z))
	if i > 0 {
		l.mul(&z[0], &x[0], &y[0], i)
	}
	for ; i < len(z); i++ {
		z[i] = x[i] * y[i]
	}
}

// Div stores x/y in z.
func (l *Level) Div(z, x, y []float32) {
	x, y = x[:len(z)], y[:len(z)]
	i := l.whole(len(z))
	if i > 0 {
		l.div(&z[0], &x[0], &y[0], i)
	}
	for ; i < len(z); i++ {
		z[i] = x[i] / y[i]
	}
}

// Scale stores by·x in y.
func (l *Level) Scale(y, x []float32, by float32) {
	x = x[:len(y)]
	i := l.whole(len(y))
	if i > 0 {
		l.scale(&y[0], &x[0], by, i)
	}
	for ; i < len(y); i++ {
		y[i] = by * x[i]
	}
}

// TurnHalves turns elements i and len(cos)+i of x by angle i.
func (l *Level) TurnHalves(y, x, cos, sin []float32) {
	n := len(cos)
	sin = sin[:n]
	p, q, r, s := x[:n], x[n:][:n], y[:n], y[n:][:n]
	i := l.whole(n)
	if i > 0 {
		l.turnHalves(&r[0], &s[0], &p[0], &q[0], &cos[0], &sin[0], i)
	}
	for ; i < n; i++ {
		u, v, c, t := p[i], q[i], cos[i], sin[i]
		r[i] = float32(c*u) - float32(t*v)
		s[i] = float32(t*u) + float32(c*v)
	}
}

// ExpShifted replaces every s by exp(s - shift) and returns their sum.
func (l *Level) ExpShifted(s []float32, shift float32) float32 {
	for i := 0; i < len(s); {
		if n := l.whole(len(s) - i); n > 0 {
			i += l.expShifted(&s[i], shift, n)
		}
		for range min(max(1, l.lanes), len(s)-i) { // a tail, or numbers with exponents far out
			s[i] = Exp(s[i] - shift)
			i++
		}
	}
	return l.Sum(s)
}

// SwishMul stores x/(1 + exp(-alpha·x))·y in z.
func (l *Level) SwishMul(z, x, y []float32, alpha float32) {
	x, y = x[:len(z)], y[:len(z)]
	for i := 0; i < len(z); {
		if n := l.whole(len(z) - i); n > 0 {
			i += l.swishMul(&z[i], &x[i], &y[i], alpha, n)
		}
		for range min(max(1, l.lanes), len(z)-i) {
			v := x[i]
			z[i] = v * Sigmoid(alpha*v) * y[i]
			i++
		}
	}
}

// Sum returns the sum of numbers: that of 16 lanes, and then one by one of what
// fills no lane.
func (l *Level) Sum(x []float32) float32 {
	n := len(x) &^ 15
	var total float32
	switch {
	case n == 0:
	case l.lanes > 0:
		total = l.sum(&x[0], 0, n)
	default:
		var lanes [16]float32
		for i := 0; i < n; i += 16 {
			for j, v := range x[i : i+16] {
				lanes[j] += v
			}
		}
		total = join(&lanes)
	}
	for _, v := range x[n:] {
		total += v
	}
	return total
}

// SumSquares returns the sum of x², added as by Sum.
func (l *Level) SumSquares(x []float32) float32 {
	n := len(x) &^ 15
	var total float32
	switch {
	case n == 0:
	case l.lanes > 0:
		total = l.sumSquares(&x[0], 0, n)
	default:
		var lanes [16]float32
		for i := 0; i < n; i += 16 {
			for j, v := range x[i : i+16] {
				lanes[j] += float32(v * v)
			}
		}
		total = join(&lanes)
	}
	for _, v := range x[n:] {
		total += float32(v * v)
	}
	return total
}

// join adds lanes by halves.
func join(lanes *[16]float32) float32 {
	for n := 8; n > 0; n /= 2 {
		for i := range n {
			lanes[i] += lanes[n+i]
		}
	}
	return lanes[0]
}

// Largest returns the largest of start and those of x that are numbers.
func (l *Level) Largest(x []float32, start float32) float32 {
	n := 0
	if l.lanes > 0 && len(x) >= 16 {
		n = len(x) &^ 15
		start = l.largest(&x[0], start, n)
	}
	for _, v := range x[n:] {
		if v > start {
			start = v
		}
	}
	return start
}
