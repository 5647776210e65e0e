package simd

// Rows adds the product of m rows of a, k numbers each, and k rows of w, n numbers
// each, to c.
func (l *Level) Rows(c, a, w Panel[float32], m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	if l.lanes == 0 {
		addRows(c, a, w, m, k, n)
		return
	}
	c.holds(m, n)
	a.holds(m, k)
	w.holds(k, n)
	whole := n
	if l.lanes == 8 {
		whole = n &^ 7
	}
	for j := 0; j < whole; j += l.tileCols {
		wide := min(l.tileCols, whole-j)
		for i := 0; i < m; i += l.tileRows {
			l.tile(&c.At[i*c.Stride+j], c.Stride, &a.At[i*a.Stride], a.Stride, &w.At[j], w.Stride, min(l.tileRows, m-i), wide, k)
		}
	}
	if whole < n { // columns that are no whole vector, where tile has no masks
		for i := range m {
			l.axpyF32(&c.At[i*c.Stride+whole], &a.At[i*a.Stride], &w.At[whole], w.Stride, n-whole, k)
		}
	}
}

// Dots adds the product of m rows of a and n rows of w, all of k numbers, to c. Its
// bits depend on where k is cut.
func (l *Level) Dots(c, a, w Panel[float32], m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	if l.lanes == 0 {
		addDots(c, a, w, m, k, n)
		return
	}
	dots(l.dotF32, c, a, w, m, k, n)
}

// DotsF16 is Dots with float16 numbers w.
func (l *Level) DotsF16(c, a Panel[float32], w Panel[uint16], m, k, n int) {
	dots(l.dotF16, c, a, w, m, k, n)
}

// DotsBF16 is Dots with bfloat16 numbers w.
func (l *Level) DotsBF16(c, a Panel[float32], w Panel[uint16], m, k, n int) {
	dots(l.dotBF16, c, a, w, m, k, n)
}

func dots[T any](f func(c *float32, ldc int, a *float32, lda int, w *T, ldw, m, n, k int), c, a Panel[float32], w Panel[T], m, k, n int) {
	if m == 0 || k == 0 || n == 0 {
		return
	}
	c.holds(m, n)
	a.holds(m, k)
	w.holds(n, k)
	for i := 0; i < m; {
		some := together(m - i)
		f(&c.At[i*c.Stride], c.Stride, &a.At[i*a.Stride], a.Stride, &w.At[0], w.Stride, some, n, k)
		i += some
	}
}

// Row adds the product of one row x of k numbers and k rows of w, n numbers each,
// to c, in the order in which w lies in memory. Its bits are those of Rows.
func (l *Level) Row(c, x []float32, w Panel[float32], k, n int) {
	if k == 0 || n == 0 {
		return
	}
	if l.lanes == 0 {
		addRows(Panel[float32]{c, n}, Panel[float32]{x, k}, w, 1, k, n)
		return
	}
	axpy(l.axpyF32, c, x, w, k, n)
}

// RowF16 is Row with float16 numbers w.
func (l *Level) RowF16(c, x []float32, w Panel[uint16], k, n int) { axpy(l.axpyF16, c, x, w, k, n) }

// RowBF16 is Row with bfloat16 numbers w.
func (l *Level) RowBF16(c, x []float32, w Panel[uint16], k, n int) { axpy(l.axpyBF16, c, x, w, k, n) }

func axpy[T any](f func(c, x *float32, w *T, ldw, n, k int), c, x []float32, w Panel[T], k, n int) {
	if k == 0 || n == 0 {
		return
	}
	_, _ = c[n-1], x[k-1]
	w.holds(k, n)
	f(&c[0], &x[0], &w.At[0], w.Stride, n, k)
}

// ReadsHalves tells whether Row and Dots have forms that read numbers of 16 bits.
func (l *Level) ReadsHalves() bool { return l.lanes > 0 }

// TileCols is how many columns Rows takes at once. Packed in strips of so many, a
// right side is read in order.
func (l *Level) TileCols() int { return max(32, l.tileCols) }

// Transpose stores n columns of m rows of src as rows of dst.
func (l *Level) Transpose(dst, src Panel[float32], m, n int) {
	if m == 0 || n == 0 {
		return
	}
	dst.holds(n, m)
	src.holds(m, n)
	rows, cols := 0, 0
	if l.lanes > 0 && m >= l.lanes && n >= l.lanes {
		cols = n - n%l.lanes
		for ; rows+l.lanes <= m; rows += l.lanes {
			l.transpose(&dst.At[rows], dst.Stride, &src.At[rows*src.Stride], src.Stride, cols)
		}
	}
	for i := range m {
		from := 0
		if i < rows {
			from = cols
		}
		for j, v := range src.Row(i, n)[from:] {
			dst.At[(from+j)*dst.Stride+i] = v
		}
	}
}
